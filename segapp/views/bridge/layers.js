// What is seen of the layers: visibility, opacity, style and contrast are the page's own affair. A layer that is not
// seen in a panel keeps its newest data aside, so that a message costs what it shows.

const FLICKER_MS = 600;
const MOVED = ["stain", "under"];

class LayerBar {
  constructor(stage) {
    this.stage = stage;
    this.model = stage.model;
    this.late = new Map();      // source -> data that came while it was not seen
    this.placeOf = {};          // source -> {layer, panel, renderer, painter}
    this.kept = new Kept();
    this.at = {};               // switch -> {on, opacity, style}
    this.compare = "off";
    this.turn = false;
    this.moved = [0, 0];
    for (const item of this.model.get("switches"))
      this.at[item.name] = { on: item.on, opacity: item.opacity, style: Object.keys(item.styles)[0] };
    for (const [layer, panels] of Object.entries(this.model.get("drawn")))
      for (const [panel, [renderer, source]] of Object.entries(panels))
        this.placeOf[source] = { layer, panel, renderer };
  }

  // ---- state -> drawing

  start() {
    for (const place of Object.values(this.placeOf)) {
      place.renderer = this.stage.find(place.renderer);
      place.painter = new Painter(this.stage.viewOf(place.renderer), this.kept);
    }
    this.blend();
    this.stage.on("change:palettes", () => this.paint());
    this.stage.on("change:levels", () => this.contrast());
    this.apply();
    this.paint();
    this.contrast();
  }

  // layer -> panel -> opacity, of all that is seen
  seen() {
    const found = {};
    const add = (layer, panel, opacity) => { (found[layer] ??= {})[panel] = opacity; };
    for (const item of this.model.get("switches")) {
      const { on, opacity, style } = this.at[item.name];
      if (!on) continue;
      for (const [layer, panels] of Object.entries(item.styles[style]))
        for (const panel of panels) add(layer, panel, opacity);
    }
    if (this.compare === "overlay") add("other", "stain", 1);
    if (["flicker", "before"].includes(this.compare) && this.turn) add("other", "stain", 1);
    return found;
  }

  apply() {
    const seen = this.seen();
    this.stage.quietly(() => {
      for (const [id, { layer, panel, renderer }] of Object.entries(this.placeOf)) {
        const opacity = seen[layer]?.[panel];
        if (opacity !== undefined) {
          const { painter } = this.placeOf[id];
          if (painter.opacity !== opacity) { painter.opacity = opacity; painter.again(); }
          if (this.late.has(id)) { this.fill(this.placeOf[id], this.late.get(id)); this.late.delete(id); }
        }
        if (renderer.visible !== (opacity !== undefined)) renderer.visible = opacity !== undefined;
      }
    });
    const wanted = Object.keys(seen);
    // what takes turns is wanted all the time
    if (this.compare !== "off" && !wanted.includes("other")) wanted.push("other");
    const text = wanted.sort().join();
    if (text !== this.wanted) this.model.send({ type: "wanted", layers: wanted });
    this.wanted = text;
    this.show();
  }

  // New data of one layer, for the sources that are seen; the others take it when they are.
  take(ids, data) {
    for (const id of ids) {
      const place = this.placeOf[id];
      if (data.dw) place.base = [data.x[0], data.y[0]];
      if (place.renderer.visible) this.fill(place, data); else this.late.set(id, data);
    }
  }

  fill({ layer, painter, base }, data) {
    if (MOVED.includes(layer) && this.moved.some(value => value !== 0))
      data = { ...data, x: [base[0] + this.moved[0]], y: [base[1] + this.moved[1]] };
    painter.show(data);
  }

  // Move the stain by hand: its bytes stay, their place changes.
  shift(moved) {
    this.moved = moved;
    this.stage.quietly(() => {
      for (const place of Object.values(this.placeOf))
        if (MOVED.includes(place.layer) && place.base)
          this.fill(place, { x: [place.base[0] + moved[0]], y: [place.base[1] + moved[1]] });
    });
  }

  paint() {
    const mappers = this.model.get("mappers");
    this.stage.quietly(() => {
      for (const [layer, palette] of Object.entries(this.model.get("palettes")))
        this.recolour(layer, this.stage.find(mappers[layer]), { palette });
    });
  }

  // The kernel sends bytes of a wide contrast and the byte of every percentile: the narrower one is set here.
  contrast() {
    const mappers = this.model.get("mappers"), levels = this.model.get("levels");
    this.limits ??= {};
    this.stage.quietly(() => {
      for (const item of this.model.get("switches")) {
        if (!item.contrast) continue;
        const given = levels[item.contrast], own = this.limits[item.name];
        let low = 0, high = 255;
        if (given) {
          const byte = percent => given.levels[clamp(Math.round(percent * 10), 0, 1000)];
          low = byte(own?.low ?? given.low);
          high = Math.max(byte(own?.high ?? given.high), low + 1);
        }
        for (const name of item.contrast === "stain" ? ["stain", "under"] : [item.contrast])
          this.recolour(name, this.stage.find(mappers[name]), { low, high });
        const row = this.rows?.[item.name];
        if (row?.low) {
          row.contrast.hidden = !given;
          row.low.value = own?.low ?? given?.low ?? 0;
          row.high.value = own?.high ?? given?.high ?? 100;
        }
      }
    });
  }

  recolour(layer, mapper, change) {
    mapper.setv(change);
    this.kept.recolour(mapper);
    for (const place of Object.values(this.placeOf)) if (place.layer === layer) place.painter.again();
  }

  // Stain and RNA add up like light, so that what lies on each other turns grey.
  blend() {
    const { painter } = Object.values(this.placeOf).find(place => place.layer === "other");
    painter.blend = () => this.compare === "overlay" ? "lighter" : "source-over";
  }

  compareWith(value) {
    this.compare = value;
    clearInterval(this.timer);
    this.turn = value !== "off";
    if (["flicker", "before"].includes(value))
      this.timer = setInterval(() => { this.turn = !this.turn; this.apply(); this.stage.flickered(this.turn); }, FLICKER_MS);
    this.stage.flickered(value === "off" ? null : this.turn);
    this.apply();
  }

  // ---- buttons and the list

  buttons() {
    const made = [];
    this.tops = {};
    for (const item of this.model.get("switches")) {
      if (!item.colour) continue;
      const button = element("button", "sg-layer", item.title, {
        type: "button", title: `${item.doc} (key ${item.key})`, "data-layer": item.name,
      });
      button.style.setProperty("--sg-layer", item.colour);
      button.addEventListener("click", () => this.toggle(item.name));
      this.tops[item.name] = button;
      made.push(button);
    }
    this.opener = element("button", "sg-tool-text", "Layers", {
      type: "button", "aria-expanded": "false", title: "Opacity, style and contrast of every layer (key y)", "data-key": "y",
    });
    this.opener.addEventListener("click", () => this.open(this.list.hidden));
    made.push(this.opener);
    return made;
  }

  panel() {
    this.list = element("div", "sg-layers", "", { role: "group", "aria-label": "Layers" });
    this.list.hidden = true;
    this.rows = {};
    for (const item of this.model.get("switches")) {
      const row = element("div", "sg-layer-row");
      const on = element("input", "", "", { type: "checkbox", id: `${this.stage.name}-${item.name}` });
      on.addEventListener("change", () => this.toggle(item.name));
      const label = element("label", "", item.title, { for: on.id, title: item.doc });
      const key = element("kbd", "", item.key, { title: `Key ${item.key}` });
      const opacity = this.range(`Opacity of ${item.title}`, 0, 100, 1, value => {
        this.at[item.name].opacity = value / 100;
        this.apply();
      });
      opacity.classList.add("sg-opacity");
      opacity.dataset.layer = item.name;
      row.append(on, label, key, opacity);
      const styles = Object.keys(item.styles);
      let style = null;
      if (styles.length > 1) {
        style = element("select", "sg-style-of", "", { "aria-label": `How ${item.title} is drawn`, "data-style": item.name });
        for (const title of styles) style.append(element("option", "", title, { value: title }));
        style.addEventListener("change", () => { this.at[item.name].style = style.value; this.apply(); });
        row.append(style);
      }
      this.rows[item.name] = { on, opacity, style };
      if (item.contrast) Object.assign(this.rows[item.name], this.contrastOf(item, row));
      this.list.append(row);
    }
    return this.list;
  }

  contrastOf(item, row) {
    const contrast = element("div", "sg-contrast");
    this.limits ??= {};
    const change = (name, value) => {
      const given = this.model.get("levels")[item.contrast];
      const own = this.limits[item.name] ??= { low: given.low, high: given.high };
      own[name] = value;
      this.contrast();
    };
    const low = this.range(`${item.title}: percentile that is black`, 0, 60, 0.1, value => change("low", value));
    const high = this.range(`${item.title}: percentile that is white`, 60, 100, 0.1, value => change("high", value));
    const reset = element("button", "sg-mini", "↺", {
      type: "button", title: `Contrast of ${item.title} as it was`, "aria-label": `Contrast of ${item.title} as it was`,
    });
    reset.addEventListener("click", () => { delete this.limits[item.name]; this.contrast(); });
    contrast.append(element("span", "", "Contrast"), low, high, reset);
    row.append(contrast);
    return { contrast, low, high };
  }

  range(title, min, max, step, call) {
    const input = element("input", "", "", { type: "range", min, max, step, "aria-label": title, title });
    input.addEventListener("input", () => call(Number(input.value)));
    return input;
  }

  open(opened) {
    this.list.hidden = !opened;
    this.opener.setAttribute("aria-expanded", String(opened));
  }

  toggle(name) {
    this.at[name].on = !this.at[name].on;
    this.apply();
  }

  show() {
    for (const [name, { on, opacity, style }] of Object.entries(this.at)) {
      this.tops?.[name]?.setAttribute("aria-pressed", String(on));
      const row = this.rows?.[name];
      if (!row) continue;
      row.on.checked = on;
      row.opacity.value = Math.round(opacity * 100);
      if (row.style) row.style.value = style;
    }
  }

  stop() { clearInterval(this.timer); }
}
