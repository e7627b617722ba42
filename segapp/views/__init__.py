"""What a person sees: controls from declarations, one panel a stage, linked views, one status line."""
