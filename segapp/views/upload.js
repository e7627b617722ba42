// Sends chosen files in parts; the kernel answers every part, so that progress is true and a large file blocks nothing.
const PART = 2 << 20;

export default {
  render({ model, el }) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "jupyter-button", textContent: "Upload files …" });
    const input = Object.assign(document.createElement("input"), { type: "file", multiple: true, hidden: true });
    input.accept = model.get("suffixes").join(",");
    const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0, hidden: true });
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    el.classList.add("sg-upload");
    el.append(button, input, bar, said);
    let queue = [], file = null, at = 0;

    const next = () => {
      file = queue.shift() ?? null;
      at = 0;
      button.textContent = file ? "Stop" : "Upload files …";
      bar.hidden = !file;
      if (file) model.send({ type: "offer", name: file.name, size: file.size });
    };
    const part = async () => {
      const bytes = await file.slice(at, at + PART).arrayBuffer();
      model.send({ type: "part", offset: at }, undefined, [bytes]);
    };
    const receive = message => {
      if (message.type === "no") { said.textContent = message.text; queue = []; file = null; next(); return; }
      if (!file) return;
      if (message.type === "go") { said.textContent = ""; part(); }
      if (message.type === "got") {
        at = message.offset;
        bar.value = at / file.size;
        said.textContent = `${file.name} · ${(at / 1e6).toFixed(1)} of ${(file.size / 1e6).toFixed(1)} MB`;
        if (at < file.size) part(); else next();
      }
    };
    button.addEventListener("click", () => {
      if (!file) { input.click(); return; }
      model.send({ type: "stop" });
      said.textContent = `${file.name} was not uploaded.`;
      queue = [];
      next();
    });
    input.addEventListener("change", () => { queue = [...input.files]; input.value = ""; next(); });
    model.on("msg:custom", receive);
    return () => model.off("msg:custom", receive);
  },
};
