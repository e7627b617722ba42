// A list of things that were made by hand: what, where, whether it holds, and buttons to see or remove each. Rows are
// written anew in place: a press on a button must find the same button when it ends.

function node(tag, className, text, attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function made() {
  const item = node("li"), words = node("span", "sg-row-words");
  words.append(node("b"), node("span", "sg-row-where"), node("span", "sg-row-state"));
  item.append(words);
  for (const [action, sign] of [["show", "Show"], ["remove", "✕"]])
    item.append(node("button", "sg-row-button", sign, { type: "button", "data-action": action }));
  return item;
}

function write(item, row, index) {
  item.className = row.holds ? "" : "sg-lost";
  const [words, show, remove] = item.children;
  [row.title, row.where, row.state].forEach((text, i) => {
    if (words.children[i].textContent !== text) words.children[i].textContent = text;
  });
  for (const [button, verb] of [[show, "Show"], [remove, "Remove"]]) {
    button.title = `${verb} ${row.title} ${index + 1}`;
    button.setAttribute("aria-label", button.title);
  }
}

export default {
  render({ model, el }) {
    const list = node("ol", "sg-rows", "", { "aria-label": model.get("label") });
    const empty = node("p", "sg-rows-empty");
    el.append(list, empty);
    list.addEventListener("click", event => {
      const button = event.target.closest("button");
      if (button) model.send({ type: button.dataset.action, index: [...list.children].indexOf(button.closest("li")) });
    });
    const show = () => {
      const rows = model.get("rows");
      empty.textContent = rows.length ? "" : model.get("empty");
      empty.hidden = rows.length > 0;
      list.hidden = rows.length === 0;
      while (list.children.length > rows.length) list.lastChild.remove();
      while (list.children.length < rows.length) list.append(made());
      rows.forEach((row, index) => write(list.children[index], row, index));
    };
    model.on("change:rows", show);
    show();
    return () => model.off("change:rows", show);
  },
};
