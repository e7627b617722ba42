// What the page does by itself: keys, the clipboard, the address, and the watch over the kernel. The kernel cannot say
// that it has died, so the page asks it now and then and says so when no answer comes.

const ASK_MS = 4000, SILENT_MS = 12000, HEARD_MS = 5000, IDLE_MS = 10 * 60 * 1000;
const REVEAL_MS = 150;
const EDITABLE = "textarea, select, [contenteditable=true], input:not([type=checkbox]):not([type=range]):not([type=button])";

function chord(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (event.key.length > 1 || event.ctrlKey || event.metaKey || event.altKey);
  return [event.ctrlKey || event.metaKey ? "ctrl" : "", event.altKey ? "alt" : "", shift ? "shift" : "", key]
    .filter(part => part).join("+");
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // not every address may use the clipboard
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

class Watch {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.box = document.createElement("div");
    this.box.className = "sg-link";
    this.box.setAttribute("role", "alert");
    this.box.hidden = true;
    root.append(this.box);
    this.heard = this.asked = this.active = this.linked = performance.now();
    this.lost = false;
    this.timer = setInterval(() => this.ask(), 1000);
    this.wake = () => { this.active = performance.now(); };
    for (const name of ["pointermove", "keydown", "wheel"]) document.addEventListener(name, this.wake, { passive: true });
    const kernel = this.kernel();
    this.onStatus = (_, status) => { if (["dead", "autorestarting", "restarting"].includes(status)) this.ended(true); };
    this.onLink = (_, status) => {
      if (status === "disconnected") this.probe();
      if (status !== "connected") return;
      this.linked = performance.now();
      this.asked = -Infinity;  // ask at once whether it hears
      this.ask();
    };
    kernel?.statusChanged?.connect?.(this.onStatus);
    kernel?.connectionStatusChanged?.connect?.(this.onLink);
    this.offline = () => this.say(this.cut());
    window.addEventListener("offline", this.offline);
  }

  kernel() {
    const manager = this.model.widget_manager;
    return manager?.kernel ?? manager?._kernel ?? manager?.context?.sessionContext?.session?.kernel;
  }

  // whether the way to the kernel is open; after a long cut the notebook's own attempts end, so it is opened from here
  connected() {
    const kernel = this.kernel(), status = kernel?.connectionStatus ?? "connected";
    if (status === "disconnected") Promise.resolve(kernel.reconnect?.()).catch(() => {});
    return status === "connected";
  }

  ask() {
    const now = performance.now();
    // a page that nobody looks at or uses must not keep a kernel from being ended as idle
    if (document.hidden || now - this.active > IDLE_MS) { this.heard = now; return; }
    if (now - this.asked >= ASK_MS) {
      this.asked = now;
      try { this.model.send({ type: "ping" }); } catch { this.probe(); }
    }
    if (now - this.heard > SILENT_MS + ASK_MS && !this.checking) this.probe();
  }

  answered() {
    this.heard = performance.now();
    if (!this.lost) return;
    this.lost = false;
    this.say("Connected again: everything is as it was.", true);
    setTimeout(() => { if (!this.lost) this.box.hidden = true; }, HEARD_MS);
  }

  // the server answers: then the kernel is gone; it does not: then the connection is
  async probe() {
    if (this.checking) return;
    this.checking = true;
    try {
      const config = document.getElementById("jupyter-config-data")?.textContent;
      const base = config ? JSON.parse(config).baseUrl ?? "/" : "/";
      const id = this.kernel()?.id;
      const answer = await fetch(`${base}api/kernels/${id ?? "none"}`,
        { cache: "no-store", signal: AbortSignal.timeout(5000) });
      // no word for long although the server lists the kernel: it was started anew and knows nothing of this page
      if (answer.status === 404) this.ended(true);
      else if (!this.connected()) this.say(this.cut());
      else if (performance.now() - Math.max(this.heard, this.linked) > SILENT_MS) this.ended();
    } catch {
      this.say(this.cut());
    } finally {
      this.checking = false;
    }
  }

  cut() {
    return "The connection to the computation is lost. It comes back by itself when the network does; "
      + "until then nothing that you do is seen.";
  }

  // for good: nobody is there to be asked any more
  ended(forGood = false) {
    if (forGood) { clearInterval(this.timer); this.root.classList.add("sg-dead"); }
    const page = this.root.classList.contains("sg-page");
    this.say("The computation has ended: its process was stopped, perhaps for want of memory. "
      + (page ? "What you chose is saved." : "Run the cells of the notebook again; what you chose is saved."),
    false, page);
  }

  say(text, good = false, reload = false) {
    if (!good) this.lost = true;
    if (!good && this.box.dataset.text === text && !this.box.hidden) return;
    this.box.dataset.text = text;
    this.box.classList.toggle("sg-done", good);
    this.box.replaceChildren(Object.assign(document.createElement("span"), { textContent: text }));
    if (reload) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Load the page again" });
      button.className = "jupyter-button";
      button.addEventListener("click", () => location.reload());
      this.box.append(button);
    }
    this.box.hidden = false;
  }

  stop() {
    clearInterval(this.timer);
    for (const name of ["pointermove", "keydown", "wheel"]) document.removeEventListener(name, this.wake);
    window.removeEventListener("offline", this.offline);
    const kernel = this.kernel();
    kernel?.statusChanged?.disconnect?.(this.onStatus);
    kernel?.connectionStatusChanged?.disconnect?.(this.onLink);
    this.box.remove();
  }
}

// What lies under the messages over the pictures makes way: how far they reach is told to the style sheet, up from the
// lower edge of the pictures and of the page.
function makeWay(root) {
  let watcher = null, ended = false;
  const tell = (name, px) => px > 0 ? root.style.setProperty(name, `${Math.ceil(px)}px`) : root.style.removeProperty(name);
  const look = messages => {
    const { top, height } = messages.getBoundingClientRect();
    const body = root.querySelector(".sg-canvas-body")?.getBoundingClientRect();
    tell("--sg-covered", height && body ? body.bottom - top : 0);
    tell("--sg-told", height ? root.getBoundingClientRect().bottom - top + 12 : 0);
  };
  const find = () => {
    const messages = root.querySelector(".sg-messages");
    if (ended) return;
    if (!messages) { requestAnimationFrame(find); return; }
    watcher = new ResizeObserver(() => look(messages));
    watcher.observe(messages);
    watcher.observe(root);
  };
  find();
  return () => { ended = true; watcher?.disconnect(); };
}

function start(model, el, root) {
  const page = root.classList.contains("sg-page");
  // keys are the app's where it has the focus: a notebook would cut its cell at X and fold its headings at the arrows
  const claim = event => event.target.setAttribute("data-lm-suppress-shortcuts", "true");
  root.addEventListener("focusin", claim);
  const watch = new Watch(model, root);

  const press = event => {
    const inside = page ? document : root;
    const now = chord(event);
    if (event.key === "Escape") {
      const close = [...root.querySelectorAll(".sg-dialog-close")].filter(node => node.offsetParent).at(-1);
      if (close) { close.click(); event.stopPropagation(); return; }
      if (document.activeElement?.closest(".sg-menu")) document.activeElement.blur();
    }
    // text fields have an undo of their own
    if (event.target.matches?.(EDITABLE) && !event.target.matches("input[readonly]")) return;
    if (!inside.contains(event.target) || !model.get("shortcuts").includes(now)) return;
    event.preventDefault();
    event.stopPropagation();
    model.send({ type: "key", key: now });
  };
  const target = page ? document : root;
  target.addEventListener("keydown", press);

  const forget = makeWay(root);

  // a menu is open while it has the focus
  const click = event => {
    const button = event.target.closest?.("button");
    if (!button || !root.contains(button) || !button.closest(".sg-menu")) return;
    if (button.closest(".sg-menu-items")) document.activeElement?.blur();
    else button.focus();
  };
  root.addEventListener("click", click);

  const address = () => {
    const word = model.get("resume");
    if (!page || !word) return;
    const url = new URL(location.href);
    url.searchParams.set("resume", word);
    url.searchParams.delete("token");  // the cookie stands for it from now on
    history.replaceState(history.state, "", url);
  };
  const receive = message => {
    if (message.type === "pong") watch.answered();
    if (message.type === "copy") copy(message.text);
    // what is to be seen may have been asked for by the message before: it is laid out first
    if (message.type === "reveal")
      setTimeout(() => root.querySelector(message.selector)?.scrollIntoView({ block: "nearest" }), REVEAL_MS);
    if (message.type === "focus") requestAnimationFrame(() => root.querySelector(message.selector)?.focus());
  };
  model.on("msg:custom", receive);
  model.on("change:resume", address);
  address();
  model.send({ type: "hello", query: page ? location.search : "" });
  return () => {
    target.removeEventListener("keydown", press);
    root.removeEventListener("click", click);
    root.removeEventListener("focusin", claim);
    model.off("msg:custom", receive);
    model.off("change:resume", address);
    forget();
    watch.stop();
  };
}

export default {
  render({ model, el }) {
    el.classList.add("sg-none");
    let stop = null, ended = false;
    const look = () => {
      const root = el.closest(".segapp");
      if (ended) return;
      if (root) stop = start(model, el, root);
      else requestAnimationFrame(look);
    };
    look();
    return () => { ended = true; stop?.(); };
  },
};
