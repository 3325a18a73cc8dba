// What lies over the page: a word in passing, a question, and the drawer in which sources and pictures are looked at.
"use strict";

window.commonplace = window.commonplace || {};

(() => {
  const make = (name, more = {}) => Object.assign(document.createElement(name), more);

  // --- saying something ------------------------------------------------------------------------------------------

  const notice = make("div", { id: "announcer", hidden: true });
  notice.setAttribute("role", "status");
  notice.setAttribute("aria-live", "polite");
  let fading = 0;

  function announce(words, stays = false) {
    notice.textContent = words;
    notice.hidden = !words;
    clearTimeout(fading);
    if (words && !stays) fading = setTimeout(() => announce(""), 6000);
  }

  // A small question in a dialog: `field` null asks yes or no, else for a line of text. Gives null when refused.
  function inquire(title, words, confirm, field = null) {
    const dialog = make("dialog", { className: "inquiry" });
    const form = make("form", { method: "dialog" });
    const heading = make("h2", { textContent: title, id: "inquiry-title" });
    dialog.setAttribute("aria-labelledby", heading.id);
    form.append(heading);
    if (words) form.append(make("p", { textContent: words }));
    const input = make("input");
    if (field !== null) {
      Object.assign(input, { type: "text", value: field, maxLength: 200 });
      input.setAttribute("aria-labelledby", heading.id);
      form.append(input);
    }
    const buttons = make("div", { className: "buttons" });
    const cancel = make("button", { type: "button", textContent: "Cancel", className: "plain" });
    const accept = make("button", { type: "submit", value: "yes", textContent: confirm });
    accept.className = ["Delete", "Remove"].includes(confirm) ? "primary danger" : "primary";
    buttons.append(cancel, accept);
    form.append(buttons);
    dialog.append(form);
    document.body.append(dialog);
    cancel.addEventListener("click", () => dialog.close("no"));
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        dialog.remove();
        resolve(dialog.returnValue === "yes" ? input.value || true : null);
      });
      dialog.showModal();
      (field === null ? cancel : input).focus();
      if (field !== null) input.select();
    });
  }

  // --- the drawer ------------------------------------------------------------------------------------------------

  // It shows one source at a time. Opened from a list of pictures, it goes through them with the arrow keys.
  const drawer = make("dialog", { className: "drawer" });
  const before = make("button", { type: "button", className: "plain", textContent: "‹ Previous" });
  const after = make("button", { type: "button", className: "plain", textContent: "Next ›" });
  const where = make("span", { className: "drawer-where" });
  const apart = make("a", { target: "_blank", rel: "noopener", className: "plain", textContent: "Open in its own tab" });
  const close = make("button", { type: "button", className: "plain", textContent: "Close" });
  const steps = make("div", { className: "drawer-steps" });
  const bar = make("div", { className: "drawer-bar" });
  let opener = null;
  let gallery = [];
  let tell = () => {};
  let at = 0;

  steps.append(before, where, after);
  where.setAttribute("aria-live", "polite");
  before.addEventListener("click", () => step(-1));
  after.addEventListener("click", () => step(1));
  close.addEventListener("click", () => drawer.close());
  drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
  drawer.addEventListener("keydown", onKey);
  drawer.addEventListener("close", () => {
    drawer.replaceChildren();
    if (opener?.isConnected) opener.focus();
  });

  // `beside` are the addresses of the pictures among which this one stands. `onAct` is told of each address that is
  // looked at ("open"), and from which something is copied ("copy").
  function openSource(address, beside = [], onAct = () => {}) {
    tell = onAct;
    if (!drawer.open) opener = document.activeElement;
    gallery = beside.includes(address) ? beside : [address];
    at = gallery.indexOf(address);
    show();
    if (!drawer.open) drawer.showModal();
    close.focus();
  }

  function show() {
    const address = gallery[at];
    tell("open", address);
    const picture = address.includes("picture=");
    const report = address.startsWith("/improve/");
    const frame = make("iframe", { src: address, title: picture ? "Picture" : report ? "Report" : "Source" });
    frame.addEventListener("load", () => {
      frame.contentDocument?.addEventListener("keydown", onKey);
      frame.contentDocument?.addEventListener("copy", () => tell("copy", address));
      drawer.classList.toggle("wide", report || Boolean(frame.contentDocument?.querySelector("main.wide")));
    });
    bar.replaceChildren(...(gallery.length > 1 ? [apart, steps, close] : [apart, close]));
    drawer.replaceChildren(bar, frame);
    drawer.setAttribute("aria-label", frame.title);
    drawer.classList.toggle("wide", picture || report);
    apart.href = address;
    where.textContent = `${at + 1} of ${gallery.length}`;
    before.disabled = at === 0;
    after.disabled = at === gallery.length - 1;
  }

  function step(by) {
    const next = Math.min(Math.max(at + by, 0), gallery.length - 1);
    if (next === at) return;
    at = next;
    show();
    close.focus();
  }

  function onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "Escape") drawer.close();
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else return;
    event.preventDefault();
  }

  document.body.append(notice, drawer);
  Object.assign(window.commonplace, { announce, inquire, openSource, closeSource: () => drawer.open && drawer.close() });
})();
