// The whole chip as a small picture, and on it the window that is worked on: dragged, resized at its corners, moved by
// the arrow keys, made larger and smaller by + and -. The kernel hears of a window once it rests.

const REST_MS = 350, HANDLE = 9, TALLEST = 300;
const CORNERS = [[0, 0], [1, 0], [0, 1], [1, 1]];

function render({ model, el }) {
  const host = document.createElement("div");
  host.className = "sg-overview";
  host.tabIndex = 0;
  host.setAttribute("role", "application");
  host.setAttribute("aria-label", "Window on the chip: arrow keys move it, plus and minus change its size");
  const canvas = document.createElement("canvas");
  const frame = document.createElement("div");
  frame.className = "sg-overview-box";
  for (const [x, y] of CORNERS) {
    const corner = document.createElement("i");
    corner.style.left = `${100 * x}%`;
    corner.style.top = `${100 * y}%`;
    corner.dataset.corner = `${x}${y}`;
    frame.append(corner);
  }
  host.append(canvas, frame);
  el.append(host);

  let box = [...model.get("box")], timer = null, drag = null;

  const scale = () => (host.clientWidth || 1) / (model.get("extent")[2] || 1);

  function fit([x, y, w, h]) {
    const [x0, y0, W, H] = model.get("extent"), low = model.get("smallest"), high = model.get("largest");
    w = Math.round(Math.min(Math.max(w, Math.min(low, W)), high, W));
    h = Math.round(Math.min(Math.max(h, Math.min(low, H)), high, H));
    x = Math.round(Math.min(Math.max(x, x0), x0 + W - w));
    y = Math.round(Math.min(Math.max(y, y0), y0 + H - h));
    return [x, y, w, h];
  }

  function place() {
    const [x0, y0] = model.get("extent"), s = scale();
    const sides = [box[2] * s, box[3] * s];
    Object.assign(frame.style, {
      left: `${(box[0] - x0) * s}px`, top: `${(box[1] - y0) * s}px`, width: `${sides[0]}px`, height: `${sides[1]}px`,
    });
    frame.classList.toggle("sg-small", Math.min(...sides) < 3 * HANDLE);
  }

  function paint() {
    const [h, w] = model.get("shape"), [, , W, H] = model.get("extent");
    if (!h || !w) return;
    const bytes = new Uint8Array(model.get("picture").buffer, model.get("picture").byteOffset, h * w);
    canvas.width = w;
    canvas.height = h;
    const image = new ImageData(w, h);
    for (let i = 0; i < bytes.length; i++) {
      image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = bytes[i];
      image.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    host.style.aspectRatio = `${W} / ${H}`;
    host.style.maxWidth = `${Math.round(TALLEST * W / H)}px`;
    place();
  }

  function tell(now) {
    clearTimeout(timer);
    timer = setTimeout(() => { timer = null; model.send({ type: "box", box }); }, now ? 0 : REST_MS);
  }

  const at = event => {
    const place = host.getBoundingClientRect(), [x0, y0] = model.get("extent"), s = scale();
    return [x0 + (event.clientX - place.left) / s, y0 + (event.clientY - place.top) / s];
  };

  host.addEventListener("pointerdown", event => {
    if (event.button) return;
    host.focus();
    host.setPointerCapture(event.pointerId);
    const [x, y] = at(event), corner = event.target.dataset?.corner;
    const inside = x >= box[0] && x < box[0] + box[2] && y >= box[1] && y < box[1] + box[3];
    if (!corner && !inside) box = fit([x - box[2] / 2, y - box[3] / 2, box[2], box[3]]);
    drag = { corner, from: [x, y], box: [...box] };
    place();
    event.preventDefault();
  });
  host.addEventListener("pointermove", event => {
    if (!drag) return;
    const [x, y] = at(event), [bx, by, bw, bh] = drag.box;
    const [dx, dy] = [x - drag.from[0], y - drag.from[1]];
    if (!drag.corner) box = fit([bx + dx, by + dy, bw, bh]);
    else {
      const [right, low] = [...drag.corner].map(Number);
      const [, , w, h] = fit([bx, by, right ? bw + dx : bw - dx, low ? bh + dy : bh - dy]);
      box = fit([right ? bx : bx + bw - w, low ? by : by + bh - h, w, h]);
    }
    place();
  });
  const drop = () => { if (drag) { drag = null; tell(true); } };
  host.addEventListener("pointerup", drop);
  host.addEventListener("pointercancel", drop);
  host.addEventListener("keydown", event => {
    const step = model.get("step") * (event.shiftKey ? 4 : 1), [x, y, w, h] = box;
    const moves = {
      ArrowLeft: [x - step, y, w, h], ArrowRight: [x + step, y, w, h],
      ArrowUp: [x, y - step, w, h], ArrowDown: [x, y + step, w, h],
      "+": [x, y, w + step, h + step], "=": [x, y, w + step, h + step], "-": [x, y, w - step, h - step],
    };
    if (event.ctrlKey || event.altKey || event.metaKey || !moves[event.key]) return;
    box = fit(moves[event.key]);
    place();
    tell(false);
    event.preventDefault();
    event.stopPropagation();
  });

  const follow = () => { if (!drag && !timer) { box = [...model.get("box")]; place(); } };
  model.on("change:box", follow);
  model.on("change:picture change:shape", paint);
  model.on("change:extent", paint);
  const watcher = new ResizeObserver(place);
  watcher.observe(host);
  paint();
  return () => {
    clearTimeout(timer);
    watcher.disconnect();
    model.off("change:box", follow);
    model.off("change:picture change:shape", paint);
    model.off("change:extent", paint);
  };
}

export default { render };
