// What is drawn over the pictures in positions of the array: landmarks, edits that are shown, the stroke under way.

class Marks {
  constructor(stage) {
    this.stage = stage;
    this.sheets = {};
    this.stroke = null;         // {points, closed, tail, dots, panel}
    this.draw = perFrame(() => this.redraw());
  }

  sheet(panel) {
    this.sheets[panel] = drawing("svg", { class: "sg-marks", "aria-hidden": "true" });
    return this.sheets[panel];
  }

  redraw() {
    for (const [panel, sheet] of Object.entries(this.sheets)) {
      const box = sheet.getBoundingClientRect();
      if (!box.width) continue;
      const at = ([x, y]) => this.stage.toScreen(x, y, box.width, box.height);
      const parts = [];
      for (const mark of this.stage.model.get("marks"))
        if (!mark.panels.length || mark.panels.includes(panel)) parts.push(...this.mark(mark, at));
      if (this.stroke && (!this.stroke.panel || this.stroke.panel === panel)) parts.push(...this.live(this.stroke, at));
      sheet.replaceChildren(...parts);
    }
  }

  mark({ points, text, closed, kind }, at) {
    const screen = points.map(at), parts = [];
    if (screen.length > 1) parts.push(this.line(screen, closed, `sg-mark-line sg-${kind}`));
    const [x, y] = screen[0];
    if (screen.length === 1 || kind === "edit")
      for (const [px, py] of kind === "edit" && closed ? [] : screen) parts.push(this.cross(px, py, kind));
    if (text) {
      const label = drawing("text", { x: x + 8, y: y - 7, class: `sg-mark-text sg-${kind}` });
      label.textContent = text;
      parts.push(label);
    }
    return parts;
  }

  live({ points, tail, closed, dots }, at) {
    const screen = [...points, ...(tail ? [tail] : [])].map(at), parts = [];
    if (screen.length > 1) parts.push(this.line(screen, closed, "sg-stroke"));
    if (dots) points.forEach((point, i) => {
      const [x, y] = at(point);
      parts.push(drawing("circle", { cx: x, cy: y, r: 4, class: "sg-stroke-dot" }));
      if (points.length > 1) {
        const label = drawing("text", { x: x + 7, y: y - 6, class: "sg-mark-text" });
        label.textContent = i + 1;
        parts.push(label);
      }
    });
    return parts;
  }

  line(screen, closed, name) {
    const text = screen.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    return drawing(closed ? "polygon" : "polyline", { points: text, class: name });
  }

  cross(x, y, kind) {
    return drawing("path", { d: `M${x - 6} ${y}h12M${x} ${y - 6}v12`, class: `sg-mark-spot sg-${kind}` });
  }
}
