// What all parts of the page use.

export const at = (id) => document.getElementById(id);

/** A call of the control API; null when it was refused, which is told. */
export async function post(path, body) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) toast(answer.error || "that did not work");
  return response.ok ? answer : null;
}

/** A word that goes away by itself. */
export function toast(text) {
  const box = at("toast");
  box.textContent = text;
  box.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => box.classList.remove("shown"), 4000);
}
