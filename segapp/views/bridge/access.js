// Names for controls: a slider's handle, a box and a list of one parameter are all called after it. The widgets of a
// notebook give them a title at most, which is no name for those who hear the page.

const NAMING_PAUSE_MS = 300;

class Names {
  constructor(root) {
    this.root = root;
    this.watch = new MutationObserver(throttle(NAMING_PAUSE_MS, () => this.give()));
    this.watch.observe(root, { childList: true, subtree: true });
    this.give();
  }

  give() {
    for (const control of this.root.querySelectorAll(".sg-control")) {
      const name = control.querySelector(".sg-control-name b")?.textContent;
      if (!name) continue;
      const stage = control.closest(".sg-card")?.querySelector(".sg-card-title")?.textContent ?? "";
      for (const part of control.querySelectorAll("input, select, textarea, [role=slider]"))
        if (!part.hasAttribute("aria-label")) part.setAttribute("aria-label", `${stage}: ${name}`);
    }
    // a field to search in stands alone, and its title says what it is for
    for (const part of this.root.querySelectorAll("input[type=text][title]:not([aria-label])"))
      part.setAttribute("aria-label", part.title);
  }

  stop() { this.watch.disconnect(); }
}
