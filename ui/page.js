// What the page does without the server: open a citation's passage, ask for a fork's option or another entry, copy a command.
function openSource(turn, n) {
  document.querySelectorAll("#sources .sources").forEach((group) => {
    group.classList.toggle("shown", group.dataset.turn === turn);
  });
  const scope = document.querySelector(`#entry details.source[data-turn="${turn}"][data-n="${n}"]`) && turn === "0" ? "#entry" : "#sources";
  document.querySelectorAll(`${scope} details.source`).forEach((source) => {
    const wanted = source.dataset.turn === turn && source.dataset.n === n;
    source.open = wanted;
    source.classList.toggle("chosen", wanted);
    if (wanted) source.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
}

function say(text) {
  const box = document.querySelector("#box textarea");
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  setTimeout(() => document.querySelector("#box .submit-button")?.click(), 50);
}

document.addEventListener("click", (event) => {
  const cite = event.target.closest(".cite");
  if (cite) return openSource(cite.dataset.turn, cite.dataset.n);
  const asks = event.target.closest("button[data-say]");
  if (asks) {
    if (asks.closest("#entry")) [...document.querySelectorAll("button[role=tab]")].find((tab) => tab.innerText.trim() === "Ask")?.click();
    return say(asks.dataset.say);
  }
  if (event.target.closest("button.theme")) return document.body.classList.toggle("dark");
  const block = event.target.closest(".card pre");
  if (block && navigator.clipboard) {
    navigator.clipboard.writeText(block.innerText.trim());
    block.classList.add("copied");
    setTimeout(() => block.classList.remove("copied"), 1200);
  }
});

document.addEventListener("keydown", (event) => {
  const cite = event.target.closest?.(".cite");
  if (cite && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    openSource(cite.dataset.turn, cite.dataset.n);
  }
});

// A new question is shown from its beginning, wherever the page was scrolled to.
let lastAsked = "";
new MutationObserver(() => {
  const asked = document.querySelector("#current .asked")?.innerText ?? "";
  if (asked && asked !== lastAsked) {
    lastAsked = asked;
    document.querySelector("#current").scrollIntoView({ block: "start", behavior: "smooth" });
  }
}).observe(document, { childList: true, subtree: true });
