// The tools: what the pointer does in the views. A stroke is drawn here while it is made, in every panel; the kernel
// hears of it when it is done.

const NEAR_PX = 4;      // a press that moves no further is a click
const TELL_MS = 120;

const ICONS = {
  select: "M5 3v13l3.600-3.400 2.300 5 2.100-1-2.300-4.900H15z",
  include: "M4 7c1-4 11-5 12 1s-4 8-8 7-5-4-4-8z M7 10h6 M10 7v6",
  exclude: "M4 7c1-4 11-5 12 1s-4 8-8 7-5-4-4-8z M7 10h6",
  draw: "M3 17l1-4L14 3l3 3L7 16z M12 5l3 3",
  merge: "M8.500 13a4.500 4.500 0 1 1 0-6 M11.500 7a4.500 4.500 0 1 1 0 6 M8.500 7v6 M11.500 7v6",
  split: "M9 4a6.500 6.500 0 1 0 4.500 1 M16 2L6 18",
  delete: "M4 6h12 M8 6V4h4v2 M6 6l1 11h6l1-11 M9 9v5 M11 9v5",
  landmarks: "M10 18s5-5.500 5-10a5 5 0 1 0-10 0c0 4.500 5 10 5 10z M10 9.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3z",
  nudge: "M10 2v16 M2 10h16 M8 4l2-2 2 2 M8 16l2 2 2-2 M4 8l-2 2 2 2 M16 8l2 2-2 2",
};

class Tools {
  constructor(stage) {
    this.stage = stage;
    this.model = stage.model;
    this.tools = this.model.get("tools");
    this.pressed = null;        // {x, y, panel, at, moved}
    this.path = [];             // positions of the stroke under way
    this.places = [];           // panel of each of them
    this.moved = [0, 0];        // of the stain by hand, px of the array
    this.target = "cells";
    this.tell = throttle(TELL_MS, () => this.model.send({ type: "nudge", dx: this.moved[0], dy: this.moved[1], done: false }));
  }

  get tool() { return this.tools.find(tool => tool.name === this.model.get("tool")) ?? this.tools[0]; }

  // ---- the strip of buttons

  strip() {
    const strip = element("div", "sg-tools", "", { role: "toolbar", "aria-label": "Tools", "aria-orientation": "vertical" });
    this.buttons = {};
    let group = "";
    for (const tool of this.tools) {
      if (group && tool.group !== group) strip.append(element("hr", "", "", { "aria-hidden": "true" }));
      group = tool.group;
      const title = `${tool.title} (key ${tool.key}): ${tool.doc}`;
      const button = element("button", "sg-tool-icon", "", {
        type: "button", title, "aria-label": tool.title, "data-tool": tool.name,
      });
      const icon = drawing("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" });
      icon.append(drawing("path", { d: ICONS[tool.name] ?? ICONS.select }));
      button.append(icon);
      button.addEventListener("click", () => { this.take(tool.name); this.stage.el.focus({ preventScroll: true }); });
      strip.append(button);
      this.buttons[tool.name] = button;
    }
    return strip;
  }

  foot() {
    this.hint = element("span", "sg-hint", "", { role: "status", "aria-live": "polite" });
    this.aim = element("select", "sg-target", "", { "aria-label": "What the tool works on", title: "What the tool works on" });
    for (const name of ["cells", "nuclei"]) this.aim.append(element("option", "", name, { value: name }));
    this.aim.addEventListener("change", () => { this.target = this.aim.value; });
    return [this.aim, this.hint];
  }

  take(name) {
    this.drop();
    this.giveUp();
    this.model.set("tool", name);
    this.model.set("hint", "");
    this.model.save_changes();
    this.show();
  }

  show() {
    const tool = this.tool;
    for (const [name, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", String(name === tool.name));
    this.stage.el.dataset.tool = tool.name;
    this.stage.body.classList.toggle("sg-armed", tool.shape !== "none");
    this.aim.hidden = tool.group !== "edits" || ["include", "exclude"].includes(tool.name);
    this.say();
  }

  say(text) {
    const kernel = this.model.get("hint"), [dx, dy] = this.moved;
    if (!text && (dx || dy)) text = `The stain is moved by x ${dx}, y ${dy} px. ${kernel} Enter keeps it, Esc gives it up.`;
    this.hint.textContent = text || kernel || (this.tool.shape === "none" ? this.tool.doc : `${this.tool.title}: ${this.tool.doc} Esc leaves.`);
    this.hint.title = this.hint.textContent;  // a narrow page cuts it off
    this.hint.classList.toggle("sg-told", Boolean(text || kernel));
  }

  // ---- the pointer

  listen(body) {
    // before Bokeh hears of it: while a tool is in hand a drag is a stroke, not a pan
    body.addEventListener("pointerdown", event => this.down(event), true);
    body.addEventListener("pointermove", event => this.move(event), true);
    body.addEventListener("pointerup", event => this.up(event), true);
    body.addEventListener("pointercancel", () => this.drop(), true);
    body.addEventListener("dblclick", event => {
      if (this.tool.shape === "none" || this.path.length < 2) return;
      event.stopPropagation();
      this.path.pop();
      this.finish();
    }, true);
    this.stage.on("change:tool", () => { this.drop(); this.show(); });
    this.stage.on("change:hint", () => this.say());
    this.show();
  }

  down(event) {
    if (event.button !== 0 || event.target.closest("button, select, input")) return;
    const spot = this.stage.spot(event);
    if (!spot) return;
    this.stage.el.focus({ preventScroll: true });
    this.pressed = { x: event.clientX, y: event.clientY, ...spot, moved: false, rectangle: event.shiftKey };
    if (this.tool.shape === "none") return;
    event.preventDefault();
    event.stopPropagation();
    this.stage.body.setPointerCapture?.(event.pointerId);
    if (this.tool.shape === "nudge") this.pressed.from = [...this.moved];
    else if (["area", "line", "pick"].includes(this.tool.shape)) this.add(spot);
  }

  move(event) {
    const spot = this.stage.spot(event, this.pressed?.panel);
    if (!this.pressed) {
      if (this.path.length && spot) { this.tail = spot.at; this.draw(); }
      return;
    }
    const [dx, dy] = [event.clientX - this.pressed.x, event.clientY - this.pressed.y];
    if (!this.pressed.moved && Math.hypot(dx, dy) <= NEAR_PX) return;
    this.pressed.moved = true;
    const shape = this.tool.shape;
    if (shape === "none") return;
    event.stopPropagation();
    if (!spot) return;
    if (shape === "nudge") {
      const [x, y] = this.pressed.from, [ax, ay] = this.pressed.at;
      this.nudgeTo(x + Math.round(spot.at[0] - ax), y + Math.round(spot.at[1] - ay));
    } else if (shape === "area" && this.pressed.rectangle) {
      const [ax, ay] = this.pressed.at, [bx, by] = spot.at;
      this.path = [[ax, ay], [bx, ay], [bx, by], [ax, by]];
      this.draw();
    } else if (shape === "area" || shape === "line") {
      const last = this.path[this.path.length - 1];
      if (Math.hypot(spot.at[0] - last[0], spot.at[1] - last[1]) >= 2 * this.stage.scaleNow) this.add(spot);
    } else {
      this.tail = spot.at;
      this.draw();
    }
  }

  up(event) {
    const pressed = this.pressed;
    this.pressed = null;
    if (!pressed || event.button !== 0) return;
    const shape = this.tool.shape, spot = this.stage.spot(event, pressed.panel);
    if (shape === "none") {
      if (!pressed.moved) this.model.send({ type: "tap", at: pressed.at, panel: pressed.panel });
      return;
    }
    event.stopPropagation();
    if (shape === "tap" && !pressed.moved) this.send([pressed.at], [pressed.panel]);
    else if (shape === "pair" && !pressed.moved) this.pair(pressed);
    else if (shape === "pick" && pressed.moved && this.path.length === 1 && spot) { this.add(spot); this.finish(); }
    else if (pressed.moved && (shape === "area" || (shape === "line" && spot))) {
      if (!pressed.rectangle && spot) this.add(spot);
      this.finish();
    }
  }

  // ---- strokes

  get least() { return { area: 3, line: 2, pick: 2, tap: 1, pair: 2 }[this.tool.shape] ?? 1; }

  add({ at, panel }) {
    this.path.push(at);
    this.places.push(panel);
    this.tail = null;
    this.draw();
    if (!this.pressed?.moved && this.path.length > 1) this.say(`${this.path.length} points. Enter finishes, Backspace takes the last one back.`);
  }

  draw() {
    const shape = this.tool.shape, only = shape === "pair" ? this.places[0] : "";
    this.stage.marks.stroke = this.path.length
      ? { points: this.path, tail: this.tail, closed: shape === "area", dots: shape === "pick" || shape === "pair", panel: only }
      : null;
    this.stage.marks.draw();
  }

  drop() {
    const had = this.path.length > 0;
    this.path = [];
    this.places = [];
    this.tail = null;
    this.pressed = null;
    this.draw();
    return had;
  }

  finish() {
    const { tool, path, places } = this, shape = tool.shape;
    this.drop();
    const scale = this.stage.scaleNow ?? 1;
    const points = shape === "pick" || path.length <= 4 ? path : this.thinned(path, shape, Math.max(0.7 * scale, 0.3));
    if (points.length < this.least) {
      this.say(`${tool.title}: at least ${this.least} points are needed.`);
      return;
    }
    this.send(points, places.slice(0, points.length));
  }

  // A closed line has no ends of its own: it is thinned as two halves.
  thinned(path, shape, tolerance) {
    if (shape !== "area") return simplified(path, tolerance);
    const half = path.length >> 1;
    return [...simplified(path.slice(0, half + 1), tolerance).slice(0, -1), ...simplified(path.slice(half), tolerance)];
  }

  send(points, panels) {
    this.model.set("hint", "");  // what is said next is about this stroke
    this.model.save_changes();
    this.say();
    const rounded = points.map(([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10]);
    this.model.send({ type: "stroke", tool: this.tool.name, points: rounded, panels, target: this.aim.hidden ? "cells" : this.target });
  }

  pair({ at, panel }) {
    if (panel === "labels") { this.say("Landmarks: click in the stain panel and in the RNA or score panel."); return; }
    const stain = panel === "stain", first = this.places[0];
    if (!first || (first === "stain") === stain) {
      this.drop();
      this.add({ at, panel });
      this.say(stain ? "Now the same spot in the RNA panel." : "Now the same spot in the stain panel.");
      return;
    }
    const other = this.path[0];
    this.drop();
    this.send(stain ? [at, other] : [other, at], stain ? [panel, first] : [first, panel]);
  }

  // ---- moving the stain

  nudgeTo(dx, dy) {
    this.moved = [dx, dy];
    this.stage.layers.shift(this.moved);
    this.tell();
    this.model.set("hint", "");  // what the kernel said was of another place
    this.say();
  }

  giveUp() {
    const had = this.moved.some(value => value !== 0);
    if (had) {
      this.settle();
      this.model.send({ type: "nudge", dx: 0, dy: 0, done: false });
    }
    return had;
  }

  settle() {
    this.moved = [0, 0];
    this.stage.layers.shift(this.moved);
    this.say();
  }

  // ---- keys

  // Return whether the key meant something.
  key(event) {
    const { key } = event, shape = this.tool.shape;
    if (key === "Escape") {
      if (this.drop() || this.giveUp()) { this.say(); return true; }
      if (this.tool.name !== "select") { this.take("select"); return true; }
      return false;
    }
    if (key === "Enter" && this.path.length && shape !== "pair") { this.finish(); return true; }
    if (key === "Enter" && shape === "nudge") {
      this.model.send({ type: "nudge", dx: this.moved[0], dy: this.moved[1], done: true });
      return true;
    }
    if (key === "Backspace" && this.path.length) {
      this.path.pop();
      this.places.pop();
      this.draw();
      return true;
    }
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (way && shape === "nudge") {
      const step = event.shiftKey ? 10 : 1;
      this.nudgeTo(this.moved[0] + step * way[0], this.moved[1] + step * way[1]);
      return true;
    }
    const tool = this.tools.find(item => item.key === key.toLowerCase());
    if (!tool) return false;
    this.take(tool.name);
    return true;
  }
}
