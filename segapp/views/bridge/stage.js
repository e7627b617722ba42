// Bokeh in one widget: embeds the figures that HoloViews composed, fills their panels with binary windows from the
// kernel, and tells the kernel what is visible. Nothing is echoed, nothing is fetched.

const ZOOM_STEP = 1.5;
const PAN_STEP = 0.15;
const VIEW_PAUSE_MS = 90;   // of rest or of motion between two requests for windows
const POINTER_PAUSE_MS = 80;
const SHOWN_SHARE = 0.6;    // an image of another shape than its panel fills it while this much of it is seen
const LEAST_SEEN = 12;      // px of the array: nearer, a panel is a few flat squares and nobody knows where they are
let born = 0;

class Stage {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.off = [];
    this.name = `sg-views-${born++}`;
    this.layers = new LayerBar(this);
    this.marks = new Marks(this);
    this.tools = new Tools(this);
  }

  async start() {
    const panels = this.model.get("panels");
    this.el.classList.add("sg-canvas");
    this.bar = element("div", "sg-canvas-bar");
    const middle = element("div", "sg-canvas-middle");
    this.body = element("div", "sg-canvas-body");
    this.host = element("div", "sg-canvas-host");
    this.captions = element("div", "sg-captions");
    const foot = element("div", "sg-canvas-foot");
    this.body.append(this.host, this.captions);
    middle.append(this.tools.strip(), this.body);
    this.el.append(this.bar, middle, foot);
    this.labels = {};
    for (const panel of panels) this.captions.append(this.overlay(panel));
    this.scale = element("div", "sg-scale");
    this.captions.firstChild.append(this.scale);
    this.toolbar();
    this.readout = element("span", "sg-readout", "", { "aria-live": "off" });
    foot.append(...this.tools.foot(), this.readout);
    this.names = new Names(this.el.closest(".segapp") ?? this.el);

    await this.laidOut();
    openBokeh();
    this.views = await bokeh.embed.embed_item(this.model.get("item"), this.host);
    this.doc = this.views.roots[0].model.document;
    // the kernel keeps its own copy of what it sent: no change made here travels back
    this.figures = panels.map(panel => this.find(panel.figure));
    for (const figure of this.figures) paintGround(this.viewOf(figure));
    this.rows = this.doc.roots()[0].children;
    const { x_range, y_range } = this.figures[0];
    this.x = x_range;
    this.y = y_range;
    this.quietly(() => { for (const range of [this.x, this.y]) range.min_interval = LEAST_SEEN; });
    this.moved = throttle(VIEW_PAUSE_MS, () => this.sendView());
    const changed = () => { this.drawScale(); this.marks.draw(); this.moved(); };
    this.x.change.connect(changed);
    this.y.change.connect(changed);
    for (const figure of this.figures) {
      figure.properties.inner_width.change.connect(() => this.resized(figure));
      figure.properties.inner_height.change.connect(() => this.resized(figure));
    }
    this.layers.start();
    this.listen();
    this.tools.listen(this.body);
    this.on("msg:custom", (message, buffers) => this.receive(message, buffers));
    this.on("change:shape", () => this.fill());
    this.on("change:um_per_px", () => this.drawScale());
    this.on("change:captions", () => this.caption());
    this.on("change:legends", () => this.legend());
    this.on("change:chosen", () => this.chosen());
    this.on("change:marks", () => this.marks.draw());
    this.caption();
    this.legend();
    this.chosen();
    this.fill();
    this.model.send({ type: "ready", ...this.viewport() });
  }

  on(name, call) {
    this.model.on(name, call);
    this.off.push(() => this.model.off(name, call));
  }

  // Bokeh lays out in the size it finds: an element that is not in the page yet has none
  laidOut() {
    return new Promise(resolve => {
      const look = () => this.host.clientWidth > 0 && this.host.clientHeight > 0
        ? resolve() : requestAnimationFrame(look);
      look();
    });
  }

  // in this document alone: another app on the page has the same names in its own
  find(id) { return this.doc.get_model_by_id(id); }

  viewOf(model) { return this.views.find_one(model); }

  // Change the document without telling anybody: whoever listens would compare and serialise arrays.
  quietly(call) {
    const callbacks = this.doc._callbacks;
    this.doc._callbacks = new Map();
    try { call(); } finally { this.doc._callbacks = callbacks; }
  }

  // ---- what is visible

  frame() {
    const { inner_width, inner_height } = this.figures.find(figure => figure.visible);
    return [inner_width || 1, inner_height || 1];
  }

  viewport() {
    const [width, height] = this.frame(), ratio = window.devicePixelRatio || 1;
    return {
      view: [this.x.start, this.y.end, this.x.end, this.y.start],
      screen: [width * ratio, height * ratio],
    };
  }

  sendView() {
    this.model.send({ type: "view", ...this.viewport() });
  }

  // centre and px of the array per screen px: pixels stay square whatever the panel's shape
  look(cx, cy, scale) {
    const [width, height] = this.frame();
    this.x.setv({ start: cx - width * scale / 2, end: cx + width * scale / 2 });
    this.y.setv({ start: cy + height * scale / 2, end: cy - height * scale / 2 });
  }

  whole(scale) {
    const [rows, cols] = this.model.get("shape");
    this.look(cols / 2, rows / 2, scale);
    this.fitted = [this.x.start, this.x.end];
  }

  // The whole image.
  fit() {
    const [rows, cols] = this.model.get("shape"), [width, height] = this.frame();
    this.filled = false;
    this.whole(Math.max(cols / width, rows / height) * 1.02);
  }

  // No margin beside the image, where that hides little of it.
  fill() {
    const [rows, cols] = this.model.get("shape"), [width, height] = this.frame();
    const [least, most] = [cols / width, rows / height].sort((a, b) => a - b);
    if (least / most < SHOWN_SHARE) this.fit(); else this.whole(least);
    this.filled = true;  // also where a panel of another shape must do without
  }

  resized(figure) {
    if (!figure.visible) return;
    this.marks.draw();
    if (this.fitted && this.fitted[0] === this.x.start && this.fitted[1] === this.x.end) {
      if (this.filled) this.fill(); else this.fit();
      return;
    }
    const cx = (this.x.start + this.x.end) / 2, cy = (this.y.start + this.y.end) / 2;
    this.look(cx, cy, this.scaleNow ?? (this.x.end - this.x.start) / this.frame()[0]);
  }

  zoom(factor) {
    const [width, height] = this.frame(), scale = (this.x.end - this.x.start) / width;
    this.look((this.x.start + this.x.end) / 2, (this.y.start + this.y.end) / 2,
      Math.max(scale / factor, Math.min(LEAST_SEEN / Math.min(width, height), scale)));
  }

  pan(right, down) {
    const [width] = this.frame(), scale = (this.x.end - this.x.start) / width;
    this.look((this.x.start + this.x.end) / 2 + right * (this.x.end - this.x.start),
      (this.y.start + this.y.end) / 2 + down * (this.y.start - this.y.end), scale);
  }

  lookAt([x0, y0, x1, y1]) {
    const [width, height] = this.frame();
    const scale = 3 * Math.max((x1 - x0) / width, (y1 - y0) / height);
    const [rows, cols] = this.model.get("shape");
    this.look((x0 + x1) / 2, (y0 + y1) / 2, clamp(scale, 0.1, Math.max(cols / width, rows / height)));
  }

  // Show one panel in the place of all, or all again.
  enlarge(name) {
    const panels = this.model.get("panels");
    this.alone = this.alone === name ? "" : name;
    const scale = this.scaleNow, cx = (this.x.start + this.x.end) / 2, cy = (this.y.start + this.y.end) / 2;
    this.quietly(() => {
      panels.forEach((panel, i) => { this.figures[i].visible = !this.alone || panel.name === this.alone; });
      for (const row of this.rows) row.visible = row.children.some(figure => figure.visible);
    });
    this.captions.classList.toggle("sg-alone", Boolean(this.alone));
    panels.forEach((panel, i) => {
      this.captions.children[i].hidden = Boolean(this.alone) && panel.name !== this.alone;
      const title = this.alone ? "All panels" : `Enlarge ${panel.title}`;
      this.labels[panel.name].larger.setAttribute("aria-label", title);
      this.labels[panel.name].larger.title = `${title} (key z)`;
    });
    this.captions.children[panels.findIndex(panel => !this.alone || panel.name === this.alone)].append(this.scale);
    if (!this.fitted || this.fitted[0] !== this.x.start) this.look(cx, cy, scale);
  }

  drawScale() {
    const um = this.model.get("um_per_px"), [width] = this.frame();
    this.scaleNow = (this.x.end - this.x.start) / width;
    const length = niceLength(width * 0.25 * this.scaleNow * um);
    this.scale.style.width = `${length / um / this.scaleNow}px`;
    this.scale.textContent = length >= 1000 ? `${length / 1000} mm` : `${length} µm`;
  }

  toScreen(x, y, width, height) {
    return [(x - this.x.start) / (this.x.end - this.x.start) * width, (y - this.y.end) / (this.y.start - this.y.end) * height];
  }

  // Panel and position in the array of a pointer; outside a panel that is named, its nearest position.
  spot(event, name) {
    const panels = this.model.get("panels");
    const boxes = [...this.captions.children].map(cell => cell.getBoundingClientRect());
    let i = name ? panels.findIndex(panel => panel.name === name) : boxes.findIndex(box => event.clientX >= box.left
      && event.clientX < box.right && event.clientY >= box.top && event.clientY < box.bottom);
    if (i < 0 || !boxes[i].width) return null;
    const { left, top, width, height } = boxes[i];
    const right = clamp(event.clientX - left, 0, width) / width, down = clamp(event.clientY - top, 0, height) / height;
    return {
      panel: panels[i].name,
      at: [this.x.start + right * (this.x.end - this.x.start), this.y.end + down * (this.y.start - this.y.end)],
    };
  }

  // ---- what is shown

  receive(message, buffers) {
    if (message.type === "frames") this.patch(message, buffers);
    if (message.type === "readout") this.readout.textContent = message.text;
    if (message.type === "look") this.lookAt(message.bounds);
    if (message.type === "settled") this.tools.settle();
  }

  patch(message, buffers) {
    const kinds = { uint8: Uint8Array, float32: Float32Array };
    const array = ({ buffer, dtype }) => {
      const { buffer: bytes, byteOffset, byteLength } = buffers[buffer];
      return new kinds[dtype](bytes.slice(byteOffset, byteOffset + byteLength));
    };
    this.quietly(() => {
      for (const frame of message.frames) {
        const data = {};
        for (const [name, column] of Object.entries(frame.columns))
          data[name] = column.buffer === undefined ? column
            : frame.nested ? [{ values: array(column), shape: column.shape }] : array(column);
        this.layers.take(frame.sources, data);
        if (data.dw && data.dw[0] >= 1) this.el.dataset.width = data.dw[0];
      }
    });
    this.el.dataset.frames = Number(this.el.dataset.frames ?? 0) + 1;
    this.el.dataset.serial = message.serial;
  }

  overlay(panel) {
    const cell = element("div", "sg-caption-cell");
    const caption = element("div", "sg-caption", panel.title, { title: panel.doc });
    const note = element("div", "sg-caption-note");
    const legend = element("div", "sg-legend");
    const larger = element("button", "sg-larger", "⤢", { type: "button", title: `Enlarge ${panel.title} (key z)`, "aria-label": `Enlarge ${panel.title}` });
    larger.addEventListener("click", () => this.enlarge(panel.name));
    cell.append(this.marks.sheet(panel.name), caption, note, legend, larger);
    this.labels[panel.name] = { caption, note, legend, larger };
    return cell;
  }

  caption() {
    for (const [name, { title, note, busy }] of Object.entries(this.model.get("captions"))) {
      const { caption, note: place } = this.labels[name];
      caption.textContent = title;
      caption.classList.toggle("sg-busy", busy);
      place.textContent = note;
    }
  }

  legend() {
    const legends = this.model.get("legends");
    for (const [name, { legend }] of Object.entries(this.labels)) {
      const given = legends[name];
      legend.replaceChildren();
      legend.hidden = !given;
      if (!given) continue;
      legend.append(element("b", "", given.title));
      for (const [colour, text] of given.entries) {
        const row = element("span", "sg-legend-entry", text);
        row.style.setProperty("--sg-legend", colour);
        legend.append(row);
      }
      if (given.ramp.length) {
        const ramp = element("span", "sg-ramp");
        ramp.style.background = `linear-gradient(90deg, ${given.ramp.join(",")})`;
        legend.append(ramp, element("span", "sg-ramp-low", given.low), element("span", "sg-ramp-high", given.high));
      }
    }
  }

  // Which of two pictures that take turns is shown.
  flickered(turn) {
    const { caption } = this.labels.stain;
    caption.classList.toggle("sg-turned", turn === true);
    if (turn === null) delete this.el.dataset.turn; else this.el.dataset.turn = String(turn);
  }

  // ---- the row of buttons

  toolbar() {
    this.bar.append(...this.layers.buttons());
    this.body.append(this.layers.panel());
    this.selects = {};
    for (const choice of this.model.get("choices")) {
      const label = element("label", "sg-choice", "", { title: choice.doc });
      label.append(element("span", "", choice.title));
      const select = element("select", "", "", { "data-choice": choice.name, "aria-label": choice.title });
      for (const [value, title] of Object.entries(choice.options))
        select.append(element("option", "", title, { value }));
      select.addEventListener("change", () => this.choose(choice.name, select.value));
      label.append(select);
      this.bar.append(label);
      this.selects[choice.name] = select;
    }
    this.bar.append(element("span", "sg-space"));
    const actions = [
      ["−", "Zoom out (key -)", () => this.zoom(1 / ZOOM_STEP), "-"],
      ["+", "Zoom in (key +)", () => this.zoom(ZOOM_STEP), "+"],
      ["Fit", "Show the whole image (key 0)", () => this.fit(), "0"],
    ];
    for (const [text, title, call] of actions) {
      const button = element("button", "sg-tool", text, { type: "button", title, "aria-label": title });
      button.addEventListener("click", call);
      this.bar.append(button);
    }
    this.el.tabIndex = 0;
    this.el.setAttribute("role", "application");
    this.el.setAttribute("aria-roledescription", "linked views");
    this.el.setAttribute("aria-label", "Linked views. Arrow keys move the picture, plus and minus zoom, 0 shows all of it; "
      + "letters switch layers and take tools, Escape gives a tool back.");
    this.el.addEventListener("keydown", event => this.key(event, actions));
  }

  key(event, actions) {
    const inside = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || ["SELECT", "TEXTAREA"].includes(inside.tagName)) return;
    if (inside.tagName === "INPUT" && (event.key.startsWith("Arrow") || inside.type === "text" || inside.type === "number")) return;
    // a button that has the focus is pressed by Enter and Space
    if (inside.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return;
    const action = actions.find(([, , , key]) => key === event.key || (key === "+" && event.key === "="));
    const layer = this.model.get("switches").find(item => item.key === event.key.toLowerCase());
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const step = event.shiftKey ? 3 * PAN_STEP : PAN_STEP;
    if (event.key === "Escape" && !this.layers.list.hidden) this.layers.open(false);
    else if (this.tools.key(event)) { /* it was a tool's */ }
    else if (action) action[2]();
    else if (way) this.pan(step * way[0], step * way[1]);
    else if (layer) this.layers.toggle(layer.name);
    else if (event.key === "y") this.layers.open(this.layers.list.hidden);
    else if (event.key === "b") this.choose("compare", this.layers.compare === "flicker" ? "off" : "flicker");
    else if (event.key === "z") this.enlarge(this.alone || this.hovered || this.model.get("panels")[0].name);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  choose(name, value) {
    this.take(name, value);
    this.model.send({ type: "choice", name, value });
  }

  take(name, value) {
    this.selects[name].value = value;
    if (name === "compare" && this.layers.compare !== value) this.layers.compareWith(value);
  }

  // What the kernel knows to be chosen: set from there, or before this page was loaded.
  chosen() {
    for (const [name, value] of Object.entries(this.model.get("chosen"))) this.take(name, value);
  }

  // ---- the pointer

  listen() {
    let last = null;
    const tell = throttle(POINTER_PAUSE_MS, () => this.model.send({ type: "pointer", at: last }));
    this.body.addEventListener("pointermove", event => {
      const spot = this.spot(event);
      if (!spot) return;
      this.hovered = spot.panel;
      last = spot.at;
      tell();
    });
    this.body.addEventListener("pointerleave", () => { last = null; tell(); });
  }

  stop() {
    this.layers.stop();
    this.names?.stop();
    for (const call of this.off) call();
    for (const view of this.views?.roots ?? []) view.remove();
    this.doc?.clear();
  }
}

export default {
  render({ model, el }) {
    const stage = new Stage(model, el);
    stage.start().catch(error => {
      console.error(error);
      el.append(element("div", "sg-banner", `The views could not be drawn: ${error.message}`));
    });
    return () => stage.stop();
  },
};
