// A histogram with lines that are dragged or moved with the arrow keys. Everything is drawn here from at most 256
// counts; a moved line is seen at once and told to the kernel at most every SEND_PAUSE_MS, the last place never lost.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 132, TOP = 20, BOTTOM = 20, SIDE = 8, HANDLE = 5, FONT = 13;
const SEND_PAUSE_MS = 110;
const SETTLE_MS = 1500;      // for this long an older echo from the kernel does not move a line back

function shape(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent?.append(node);
  return node;
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  return String(+value.toPrecision(4));
}

function ticks(low, high, width) {
  const rough = (high - low) / Math.max(2, Math.floor(width / 64));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(size => size >= rough);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step)
    found.push(+value.toPrecision(12));
  return found;
}

class Plot {
  constructor(model, el) {
    this.model = model;
    this.off = [];
    this.held = {};            // places of lines that the kernel has not confirmed yet
    this.nodes = {};
    this.host = document.createElement("div");
    this.host.className = "sg-hist";
    this.svg = shape("svg", { role: "group" }, this.host);
    this.empty = document.createElement("div");
    this.empty.className = "sg-empty";
    this.host.append(this.empty);
    el.append(this.host);
    // one message changes several of them: it is drawn once
    for (const name of ["counts", "low", "high", "log", "marks", "empty", "title", "lines"])
      this.on(`change:${name}`, () => this.soon(name));
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.host);
    this.draw();
  }

  on(name, call) {
    this.model.on(name, call);
    this.off.push(() => this.model.off(name, call));
  }

  counts() {
    const view = this.model.get("counts");
    if (!view?.byteLength) return new Uint32Array(0);
    return new Uint32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  }

  // ---- places

  lines() {
    const now = performance.now();
    return this.model.get("lines").map(line => {
      const held = this.held[line.name];
      if (!held) return line;
      if (held.dragged || (now - held.at < SETTLE_MS && Math.abs(held.value - line.value) > 1e-9))
        return { ...line, value: held.value, text: null };
      delete this.held[line.name];
      return line;
    });
  }

  x(value) {
    const low = this.model.get("low"), high = this.model.get("high");
    const share = Math.min(Math.max((value - low) / (high - low), 0), 1);
    return SIDE + share * (this.width - 2 * SIDE);
  }

  value(x) {
    const low = this.model.get("low"), high = this.model.get("high");
    return low + Math.min(Math.max((x - SIDE) / (this.width - 2 * SIDE), 0), 1) * (high - low);
  }

  // the nearest place where a line may stand
  fit(line, value) {
    if (line.stops) return line.stops.reduce((a, b) => Math.abs(b - value) < Math.abs(a - value) ? b : a);
    const stepped = Math.round(value / line.step) * line.step;
    return +Math.min(Math.max(stepped, line.min), line.max).toPrecision(10);
  }

  words(line) {
    if (line.text) return line.text;
    if (line.off && line.value >= line.max) return "off";
    const { factor, unit, other } = this.model.get("scale");
    const number = +line.value.toPrecision(4);
    return `${number}${unit ? ` ${unit}` : ""}${other ? ` · ${+(line.value * factor).toPrecision(3)} ${other}` : ""}`;
  }

  // ---- drawing

  soon(name) {
    if (!this.changed) {
      this.changed = new Set();
      queueMicrotask(() => {
        const all = [...this.changed];
        this.changed = null;
        if (all.some(one => one !== "lines") || !this.moveOnly()) this.draw();
      });
    }
    this.changed.add(name);
  }

  // Lines that only stand elsewhere keep their nodes, and with them the focus and a press that is under way.
  moveOnly() {
    const lines = this.lines();
    if (!lines.length || lines.map(line => line.name).join() !== Object.keys(this.nodes).join()) return false;
    for (const line of lines) this.place(line);
    this.shade(lines);
    return true;
  }

  draw() {
    const counts = this.counts(), lines = this.lines();
    this.empty.textContent = counts.length ? "" : this.model.get("empty");
    this.svg.style.display = counts.length ? "" : "none";
    // px of the style sheet on a page of 1920 x 1080; on a larger page all of it is larger
    this.unit = parseFloat(getComputedStyle(this.host).fontSize) / FONT || 1;
    this.width = Math.max(this.host.clientWidth / this.unit, 120);
    if (!counts.length) { this.nodes = {}; this.svg.replaceChildren(); return; }
    this.svg.setAttribute("width", this.width * this.unit);
    this.svg.setAttribute("height", HEIGHT * this.unit);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", this.model.get("title"));
    const focused = this.svg.querySelector(":focus")?.dataset.line;
    this.svg.replaceChildren();
    this.nodes = {};
    this.axis();
    this.bars(counts);
    for (const mark of this.model.get("marks")) this.mark(mark);
    for (const line of lines) this.line(line);
    this.shade(lines);
    if (focused && this.nodes[focused]) this.nodes[focused].group.focus();
  }

  axis() {
    const base = HEIGHT - BOTTOM;
    const group = shape("g", { class: "sg-hist-axis", "aria-hidden": "true" }, this.svg);
    shape("line", { x1: SIDE, x2: this.width - SIDE, y1: base + 0.5, y2: base + 0.5 }, group);
    const low = this.model.get("low"), high = this.model.get("high");
    for (const value of ticks(low, high, this.width)) {
      const x = this.x(value);
      shape("line", { x1: x, x2: x, y1: base, y2: base + 4 }, group);
      const anchor = x < 18 ? "start" : x > this.width - 18 ? "end" : "middle";
      shape("text", { x, y: base + 15, "text-anchor": anchor }, group).textContent = short(value);
    }
  }

  bars(counts) {
    const log = this.model.get("log"), base = HEIGHT - BOTTOM, tall = base - TOP;
    const size = count => log ? Math.log10(1 + count) : count;
    const top = Math.max(...Array.from(counts, size), 1e-9);
    const span = (this.width - 2 * SIDE) / counts.length;
    let path = "";
    counts.forEach((count, i) => {
      if (!count) return;
      const height = Math.max(size(count) / top * tall, 1);
      path += `M${(SIDE + i * span).toFixed(2)} ${base}v${-height.toFixed(2)}h${span.toFixed(2)}V${base}z`;
    });
    shape("path", { d: path, class: "sg-hist-out" }, this.svg);
    this.kept = shape("path", { d: path, class: "sg-hist-in" }, this.svg);
    const clip = shape("clipPath", { id: `sg-clip-${Math.random().toString(36).slice(2)}` }, this.svg);
    this.window = shape("rect", { x: SIDE, y: 0, width: this.width, height: HEIGHT }, clip);
    this.kept.setAttribute("clip-path", `url(#${clip.id})`);
  }

  // what lies within the lines is drawn strong
  shade(lines) {
    let left = SIDE, right = this.width - SIDE;
    for (const line of lines) {
      if (line.keep === "from") left = this.x(line.value);
      if (line.keep === "to") right = this.x(line.value);
    }
    this.window.setAttribute("x", left);
    this.window.setAttribute("width", Math.max(right - left, 0));
  }

  mark({ value, title }) {
    const x = this.x(value), base = HEIGHT - BOTTOM;
    const group = shape("g", { class: "sg-hist-mark" }, this.svg);
    shape("line", { x1: x, x2: x, y1: TOP - 4, y2: base }, group);
    const anchor = x > this.width - 70 ? "end" : "start";
    shape("text", { x: x + (anchor === "end" ? -4 : 4), y: TOP + 8, "text-anchor": anchor }, group).textContent = title;
  }

  line(line) {
    const base = HEIGHT - BOTTOM;
    const group = shape("g", {
      class: `sg-hist-line sg-line-${line.name}`, role: "slider", tabindex: 0, "aria-orientation": "horizontal",
      "aria-label": line.title, "data-line": line.name,
    }, this.svg);
    shape("title", {}, group).textContent = line.doc;
    shape("rect", { class: "sg-hist-grip", y: 0, width: 22, height: base }, group);
    shape("line", { y1: TOP - 4, y2: base }, group);
    shape("circle", { cy: TOP - 4, r: HANDLE }, group);
    shape("text", { y: 11 }, group);
    this.nodes[line.name] = { group };
    this.place(line);
    group.addEventListener("keydown", event => this.key(event, line.name));
    group.addEventListener("pointerdown", event => this.drag(event, line.name));
  }

  place(line) {
    const { group } = this.nodes[line.name], x = this.x(line.value), words = this.words(line);
    const [, grip, stroke, circle, text] = group.children;
    grip.setAttribute("x", x - 11);
    stroke.setAttribute("x1", x);
    stroke.setAttribute("x2", x);
    circle.setAttribute("cx", x);
    text.textContent = words;
    const right = x > this.width / 2;
    text.setAttribute("x", right ? x - HANDLE - 4 : x + HANDLE + 4);
    text.setAttribute("text-anchor", right ? "end" : "start");
    const [low, high] = line.stops ? [line.stops[0], line.stops.at(-1)] : [line.min, line.max];
    group.setAttribute("aria-valuemin", low);
    group.setAttribute("aria-valuemax", high);
    group.setAttribute("aria-valuenow", line.value);
    group.setAttribute("aria-valuetext", words);
  }

  // ---- gestures

  current(name) {
    return this.lines().find(line => line.name === name);
  }

  move(name, value, dragged) {
    const line = this.current(name);
    if (!line) return;
    const place = this.fit(line, value);
    if (place === line.value && this.held[name]) { this.held[name].dragged = dragged; return; }
    if (place === line.value) return;
    this.held[name] = { value: place, at: performance.now(), dragged };
    this.place({ ...line, value: place, text: null });
    this.shade(this.lines());
    this.tell(name);
  }

  tell(name) {
    this.unsent = { ...(this.unsent ?? {}), [name]: this.held[name].value };
    if (this.timer) return;
    const send = () => {
      const moves = Object.entries(this.unsent ?? {});
      this.unsent = null;
      for (const [line, value] of moves) this.model.send({ type: "line", name: line, value });
      this.timer = moves.length ? setTimeout(send, SEND_PAUSE_MS) : null;
    };
    send();
  }

  key(event, name) {
    const line = this.current(name);
    const move = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    let to = null;
    if (line.stops) {
      const at = line.stops.indexOf(this.fit(line, line.value));
      if (move) to = line.stops[Math.min(Math.max(at + Math.sign(move), 0), line.stops.length - 1)];
    } else if (move) {
      // a line that is parked beyond the picture starts from its edge
      const from = line.off && line.value >= line.max ? Math.min(line.max, this.model.get("high") + line.step) : line.value;
      to = Math.round(from / line.step + move) * line.step;
    }
    if (event.key === "Home") to = line.stops ? line.stops[0] : line.min;
    if (event.key === "End") to = line.stops ? line.stops.at(-1) : line.max;
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(name, to, false);
  }

  drag(event, name) {
    if (event.button) return;
    event.preventDefault();
    const { group } = this.nodes[name];
    group.focus();
    const left = this.svg.getBoundingClientRect().left;
    const to = moved => {
      const x = (moved.clientX - left) / this.unit, line = this.current(name);
      // dragged out at the right end, a limit is switched off
      this.move(name, line.off && x >= this.width - SIDE - 1 ? line.max : this.value(x), true);
    };
    const stop = () => {
      window.removeEventListener("pointermove", to);
      window.removeEventListener("pointerup", stop);
      window.removeEventListener("pointercancel", stop);
      const held = this.held[name];
      if (held) { held.dragged = false; held.at = performance.now(); }
    };
    window.addEventListener("pointermove", to);
    window.addEventListener("pointerup", stop);
    window.addEventListener("pointercancel", stop);
  }

  stop() {
    for (const call of this.off) call();
    this.watcher.disconnect();
    clearTimeout(this.timer);
  }
}

export default {
  render({ model, el }) {
    const plot = new Plot(model, el);
    return () => plot.stop();
  },
};
