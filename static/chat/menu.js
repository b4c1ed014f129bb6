// A small menu beside a button, by mouse and keyboard. Goes away by itself.

/** `entries`: [label, action] pairs. */
export function openMenu(button, entries) {
  const menu = document.createElement("div");
  menu.className = "menu";
  menu.role = "menu";
  menu.ariaLabel = button.ariaLabel;
  for (const [label, action] of entries) {
    const item = document.createElement("button");
    item.type = "button";
    item.role = "menuitem";
    item.textContent = label;
    item.addEventListener("click", () => (close(), action()));
    menu.append(item);
  }
  (button.closest("aside") ?? document.body).append(menu);
  button.setAttribute("aria-expanded", "true");
  const at = button.getBoundingClientRect();
  menu.style.top = `${Math.min(at.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - menu.offsetWidth - 8))}px`;
  menu.firstElementChild.focus();

  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const items = [...menu.children];
      items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      close();
      button.focus();
    }
  });
  const away = (event) => !menu.contains(event.target) && close();
  setTimeout(() => document.addEventListener("pointerdown", away));

  function close() {
    document.removeEventListener("pointerdown", away);
    menu.remove();
    button.setAttribute("aria-expanded", "false");
  }
}
