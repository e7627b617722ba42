// Bokeh in one widget: embeds the figures that HoloViews composed, patches their sources in place with binary windows
// from the kernel, and tells the kernel what is visible. Nothing is echoed, nothing is fetched.

const ZOOM_STEP = 1.5;
const VIEW_PAUSE_MS = 90;   // of rest or of motion between two requests for windows
const POINTER_PAUSE_MS = 80;

function element(tag, className, text, attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// First call at once, then at most one per `pause`, the last one never lost.
function throttle(pause, call) {
  let timer = null, again = false;
  const run = () => {
    if (timer !== null) { again = true; return; }
    call();
    timer = setTimeout(() => { timer = null; if (again) { again = false; run(); } }, pause);
  };
  return run;
}

function niceLength(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  return [5, 2, 1].map(step => step * power).find(length => length <= limit) ?? power;
}

class Stage {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.off = [];
    this.size = model.get("shape");
  }

  async start() {
    const panels = this.model.get("panels");
    this.el.classList.add("sg-canvas");
    this.bar = element("div", "sg-canvas-bar");
    this.body = element("div", "sg-canvas-body");
    this.host = element("div", "sg-canvas-host");
    this.captions = element("div", "sg-captions");
    this.body.append(this.host, this.captions);
    this.el.append(this.bar, this.body);
    this.labels = {};
    for (const panel of panels) {
      const cell = element("div", "sg-caption-cell");
      const caption = element("div", "sg-caption", panel.title, { title: panel.doc });
      const note = element("div", "sg-caption-note");
      cell.append(caption, note);
      this.captions.append(cell);
      this.labels[panel.name] = { caption, note };
    }
    this.scale = element("div", "sg-scale");
    this.captions.firstChild.append(this.scale);
    this.toolbar();

    await this.laidOut();
    const manager = await bokeh.embed.embed_item(this.model.get("item"), this.host);
    this.views = manager;
    this.doc = this.find(panels[0].figure).document;
    // the kernel keeps its own copy of what it sent: no change made here travels back
    this.figures = panels.map(panel => this.find(panel.figure));
    const { x_range, y_range } = this.figures[0];
    this.x = x_range;
    this.y = y_range;
    this.moved = throttle(VIEW_PAUSE_MS, () => this.sendView());
    const changed = () => { this.drawScale(); this.moved(); };
    this.x.change.connect(changed);
    this.y.change.connect(changed);
    const frame = this.figures[0].properties.inner_width.change;
    frame.connect(() => this.resized());
    this.figures[0].properties.inner_height.change.connect(() => this.resized());
    this.listen();
    this.on("msg:custom", (message, buffers) => this.receive(message, buffers));
    this.on("change:shape", () => this.fit());
    this.on("change:um_per_px", () => this.drawScale());
    this.on("change:captions", () => this.caption());
    this.caption();
    this.fit();
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

  find(id) {
    return bokeh.documents.map(doc => doc.get_model_by_id(id)).find(found => found);
  }

  // ---- what is visible

  frame() {
    const { inner_width, inner_height } = this.figures[0];
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
    this.at = [cx, cy, scale];
    this.x.setv({ start: cx - width * scale / 2, end: cx + width * scale / 2 });
    this.y.setv({ start: cy + height * scale / 2, end: cy - height * scale / 2 });
  }

  fit() {
    const [rows, cols] = this.model.get("shape"), [width, height] = this.frame();
    this.whole = true;
    this.look(cols / 2, rows / 2, Math.max(cols / width, rows / height) * 1.02);
    this.fitted = [this.x.start, this.x.end];
  }

  resized() {
    if (this.fitted && this.fitted[0] === this.x.start && this.fitted[1] === this.x.end) { this.fit(); return; }
    const cx = (this.x.start + this.x.end) / 2, cy = (this.y.start + this.y.end) / 2;
    this.look(cx, cy, this.scaleNow ?? (this.x.end - this.x.start) / this.frame()[0]);
  }

  zoom(factor) {
    const [width] = this.frame();
    this.look((this.x.start + this.x.end) / 2, (this.y.start + this.y.end) / 2,
      (this.x.end - this.x.start) / width / factor);
  }

  drawScale() {
    const um = this.model.get("um_per_px"), [width] = this.frame();
    this.scaleNow = (this.x.end - this.x.start) / width;
    const length = niceLength(width * 0.25 * this.scaleNow * um);
    this.scale.style.width = `${length / um / this.scaleNow}px`;
    this.scale.textContent = length >= 1000 ? `${length / 1000} mm` : `${length} µm`;
  }

  // ---- what is shown

  receive(message, buffers) {
    if (message.type === "frames") this.patch(message, buffers);
    if (message.type === "readout") this.readout.textContent = message.text;
  }

  patch(message, buffers) {
    const { ndarray } = bokeh.require("core/util/ndarray");
    const array = ({ buffer, dtype, shape }) => {
      const view = buffers[buffer];
      return new ndarray(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength), { dtype, shape });
    };
    const callbacks = this.doc._callbacks;
    this.doc._callbacks = new Map();
    try {
      for (const frame of message.frames) {
        const data = {};
        for (const [name, column] of Object.entries(frame.columns))
          data[name] = column.buffer === undefined ? column : frame.nested ? [array(column)] : array(column);
        for (const id of frame.sources) {
          const source = this.find(id);
          // assigning data would compare old and new arrays pixel by pixel
          const held = source.data;
          for (const [name, values] of Object.entries(data))
            if (held instanceof Map) held.set(name, values); else held[name] = values;
          source.change.emit();
        }
        if (data.dw && data.dw[0] >= 1) this.el.dataset.width = data.dw[0];
      }
    } finally {
      this.doc._callbacks = callbacks;
    }
    this.el.dataset.frames = Number(this.el.dataset.frames ?? 0) + 1;
    this.el.dataset.serial = message.serial;
  }

  caption() {
    for (const [name, { title, note, busy }] of Object.entries(this.model.get("captions"))) {
      const { caption, note: place } = this.labels[name];
      caption.textContent = title;
      caption.classList.toggle("sg-busy", busy);
      place.textContent = note;
    }
  }

  // ---- the row of buttons

  toolbar() {
    for (const layer of this.model.get("layers")) {
      const button = element("button", "sg-layer", layer.title, {
        type: "button", "aria-pressed": String(layer.on), title: `${layer.doc} (key ${layer.key})`,
        "data-layer": layer.name,
      });
      button.style.setProperty("--sg-layer", layer.colour);
      button.addEventListener("click", () => this.toggle(layer, button));
      this.bar.append(button);
      layer.button = button;
    }
    for (const choice of this.model.get("choices")) {
      const label = element("label", "sg-choice", choice.title, { title: choice.doc });
      const select = element("select", "", "", { "data-choice": choice.name, "aria-label": choice.title });
      for (const [value, title] of Object.entries(choice.options))
        select.append(element("option", "", title, { value }));
      select.addEventListener("change", () =>
        this.model.send({ type: "choice", name: choice.name, value: select.value }));
      label.append(select);
      this.bar.append(label);
    }
    this.readout = element("span", "sg-readout", "", { "aria-live": "off" });
    this.bar.append(this.readout);
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
    this.el.addEventListener("keydown", event => {
      if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
      const action = actions.find(([, , , key]) => key === event.key || (key === "+" && event.key === "="));
      const layer = this.model.get("layers").findIndex(item => item.key === event.key.toLowerCase());
      if (action) action[2]();
      else if (layer >= 0) this.bar.querySelectorAll(".sg-layer")[layer].click();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  toggle(layer, button) {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    for (const id of layer.renderers) this.find(id).visible = on;
  }

  // ---- the pointer

  listen() {
    let last = null;
    const tell = throttle(POINTER_PAUSE_MS, () => this.model.send({ type: "pointer", at: last }));
    this.body.addEventListener("pointermove", event => {
      const cells = [...this.captions.children].map(cell => cell.getBoundingClientRect());
      const cell = cells.find(box => event.clientX >= box.left && event.clientX < box.right
        && event.clientY >= box.top && event.clientY < box.bottom);
      if (!cell) return;
      last = [
        this.x.start + (event.clientX - cell.left) / cell.width * (this.x.end - this.x.start),
        this.y.end + (event.clientY - cell.top) / cell.height * (this.y.start - this.y.end),
      ];
      tell();
    });
    this.body.addEventListener("pointerleave", () => { last = null; tell(); });
  }

  stop() {
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
