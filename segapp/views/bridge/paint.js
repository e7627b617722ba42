// What is in the layers is painted here. Bokeh lays out the panels, keeps their ranges and says when one is painted; its
// own way from data to pixels looks at every value several times, and writes a style sheet a layer at every painting.

const RANGE = 256;

const plain = spec => spec?.value ?? spec;

class Painter {
  constructor(view, kept) {
    this.view = view;
    this.kept = kept;           // what is made of data once, for all panels: picture or path
    this.data = null;
    this.opacity = 1;
    this.blend = () => "source-over";
    const { glyph } = view.model;
    this.curve = glyph.line_alpha !== undefined;
    if (this.curve) Object.assign(this, { colour: plain(glyph.line_color), width: plain(glyph.line_width) });
    else this.mapper = glyph.color_mapper;
    view.paint = context => {
      if (view.model.visible && this.data) this.paint(context);
      view.mark_finished();
    };
  }

  show(data) {
    this.data = { ...this.data, ...data };
    this.again();
  }

  again() { this.view.request_paint(); }

  paint(context) {
    context.globalAlpha = this.opacity;
    context.globalCompositeOperation = this.blend();
    const { x_scale, y_scale } = this.view.coordinates;
    if (this.curve) this.stroke(context, x_scale, y_scale); else this.picture(context, x_scale, y_scale);
  }

  picture(context, across, down) {
    const { image: [{ values, shape: [rows, cols] }], x: [x], y: [y], dw: [dw], dh: [dh] } = this.data;
    const left = across.compute(x), top = down.compute(y);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.kept.canvas(values, rows, cols, this.mapper), left, top,
      across.compute(x + dw) - left, down.compute(y + dh) - top);
  }

  stroke(context, across, down) {
    const { x, y } = this.data;
    const left = across.compute(0), top = down.compute(0);
    const onScreen = new Path2D();
    onScreen.addPath(this.kept.path(x, y),
      new DOMMatrix([across.compute(1) - left, 0, 0, down.compute(1) - top, left, top]));
    context.strokeStyle = this.colour;
    context.lineWidth = this.width;
    context.lineJoin = "round";
    context.stroke(onScreen);
  }
}

// Bytes in the colours of a palette, and points as a path: made once, however many panels show them.
class Kept {
  constructor() {
    this.made = new WeakMap();
    this.colours = new Map();   // mapper -> colour of every byte
  }

  // Other colours: what was made in the old ones is made anew when it is painted.
  recolour(mapper) { this.colours.delete(mapper); }

  table(mapper) {
    if (!this.colours.has(mapper)) {
      const bytes = Uint8Array.from({ length: RANGE }, (_, i) => i);
      this.colours.set(mapper, new Uint32Array(mapper.rgba_mapper.v_compute(bytes).buffer));
    }
    return this.colours.get(mapper);
  }

  canvas(values, rows, cols, mapper) {
    const table = this.table(mapper), found = this.made.get(values);
    if (found?.table === table) return found.canvas;
    const canvas = found?.canvas ?? element("canvas", "", "", { width: cols, height: rows });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const picture = context.createImageData(cols, rows), pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[values[i]];
    context.putImageData(picture, 0, 0);
    this.made.set(values, { canvas, table });
    return canvas;
  }

  path(x, y) {
    let path = this.made.get(x);
    if (path) return path;
    path = new Path2D();
    let begins = true;
    for (let i = 0; i < x.length; i++) {
      if (Number.isNaN(x[i])) begins = true;
      else if (begins) { path.moveTo(x[i], y[i]); begins = false; }
      else path.lineTo(x[i], y[i]);
    }
    this.made.set(x, path);
    return path;
  }
}

// The ground of a panel: Bokeh asks the style sheet for each of its colours at every painting.
function paintGround(view) {
  const colour = plain(view.model.background_fill_color);
  view._paint_empty = (context, { x, y, width, height }) => {
    context.fillStyle = colour;
    context.fillRect(x, y, width, height);
  };
  view._paint_outline = () => {};
}
