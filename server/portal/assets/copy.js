// Shows the copy buttons and lets them copy. A button names the element whose
// text it copies in data-copy, and says what that is in data-label. Without
// this script the buttons stay hidden and the text can be selected by hand.
"use strict";

const spoken = document.createElement("div"); // screen readers hear what it says
spoken.className = "spoken";
spoken.setAttribute("role", "status");
document.body.append(spoken);

const timers = new WeakMap();

function announce(button, text) {
  button.textContent = spoken.textContent = text;
  clearTimeout(timers.get(button));
  timers.set(button, setTimeout(() => { button.textContent = "Copy"; spoken.textContent = ""; }, 2000));
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

function offerCopies() {
  for (const button of document.querySelectorAll("button[data-copy][hidden]")) {
    const source = document.getElementById(button.dataset.copy);
    if (!source) continue;
    button.hidden = false;
    button.setAttribute("aria-label", "Copy " + button.dataset.label);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent.trim());
        announce(button, "Copied");
      } catch {
        select(source); // no clipboard on plain http: leave it ready for the keyboard
        announce(button, "Selected");
      }
    });
  }
}
document.addEventListener("wavegate:shown", offerCopies); // a page of the portal was put in place
offerCopies();
