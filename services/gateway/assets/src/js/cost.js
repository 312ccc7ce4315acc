// What a post costs its readers, while one writes: people times reading time, at 200 words a minute.
const WORDS_A_MINUTE = 200;
const PAUSE = 300;
const counts = new Map();

const unit = (amount, name) => new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: name, unitDisplay: "long", maximumFractionDigits: 0 }).format(amount);

function lasting(seconds) {
  if (seconds < 60) return unit(seconds, "second");
  if (seconds < 5400) return unit(Math.round(seconds / 60), "minute");
  return unit(Math.round(seconds / 3600), "hour");
}

async function peopleOf(audience) {
  if (!counts.has(audience)) {
    const [kind, id] = audience.split(":");
    if (!["everyone", "followers", "community"].includes(kind)) return null;
    const query = new URLSearchParams({ audience: kind, ...(id && { community_id: id }) });
    counts.set(audience, fetch(`/api/v1/delivery/cost?${query}`).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null));
  }
  return counts.get(audience);
}

async function show(form) {
  const place = form.querySelector("[data-cost]");
  const audience = form.querySelector("[name=audience]")?.value;
  const words = form.querySelector("textarea[name=body]")?.value.match(/\S+/g)?.length ?? 0;
  const found = place && audience && words ? await peopleOf(audience) : null;
  if (!place) return;
  place.hidden = !found?.people;
  if (place.hidden) return;
  const each = Math.ceil((words * 60) / WORDS_A_MINUTE);
  const all = each * found.people;
  const pattern = found.people === 1 ? place.dataset.costOne : place.dataset.costText;
  const people = new Intl.NumberFormat(document.documentElement.lang).format(found.people);
  const told = pattern.replace("{people}", people).replace("{each}", lasting(each)).replace("{all}", lasting(all));
  place.textContent = all >= found.hint_from_seconds ? `${told}. ${place.dataset.costHint}` : told;
}

export function startCost() {
  let waiting = 0;
  const later = ({ target }) => {
    const form = target.closest?.("[data-compose-form]");
    if (!form) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => show(form), PAUSE);
  };
  document.addEventListener("input", later);
  document.addEventListener("change", later);
}
