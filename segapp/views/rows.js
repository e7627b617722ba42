// A list of things that were made by hand: what, where, whether it holds, and buttons to see or remove each.

function node(tag, className, text, attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export default {
  render({ model, el }) {
    const list = node("ol", "sg-rows", "", { "aria-label": model.get("label") });
    const empty = node("p", "sg-rows-empty");
    el.append(list, empty);
    const show = () => {
      const rows = model.get("rows");
      empty.textContent = rows.length ? "" : model.get("empty");
      empty.hidden = rows.length > 0;
      list.hidden = rows.length === 0;
      list.replaceChildren(...rows.map((row, index) => {
        const item = node("li", row.holds ? "" : "sg-lost");
        const words = node("span", "sg-row-words");
        words.append(node("b", "", row.title), node("span", "sg-row-where", row.where), node("span", "sg-row-state", row.state));
        item.append(words);
        for (const [action, sign, title] of [["show", "Show", `Show ${row.title} ${index + 1}`], ["remove", "✕", `Remove ${row.title} ${index + 1}`]]) {
          const button = node("button", "sg-row-button", sign, { type: "button", "aria-label": title, title, "data-action": action });
          button.addEventListener("click", () => model.send({ type: action, index }));
          item.append(button);
        }
        return item;
      }));
    };
    model.on("change:rows", show);
    show();
    return () => model.off("change:rows", show);
  },
};
