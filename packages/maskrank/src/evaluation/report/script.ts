// The report's script: tabs, sorting, tips, enlarging an image, colour scheme, place in the list of contents. The page is complete and
// readable without it. It builds no markup from text: everything goes through textContent and attributes.

/** Everything between <script> and </script>; the page's content policy admits this text by its hash and no other. */
export const SCRIPT = `(() => {
'use strict';
const root = document.documentElement;
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const make = (tag, className, text = '') => Object.assign(document.createElement(tag), { className, textContent: text });
root.classList.add('js');

// Tabs are made from the panels; without script all panels show one after the other.
for (const group of all('[data-tabs]')) {
  const panels = all(':scope > .panel', group);
  if (panels.length < 2) continue;
  const list = make('div', 'tablist');
  list.setAttribute('role', 'tablist');
  list.setAttribute('aria-label', group.dataset.tabs);
  const show = (chosen, focus) => buttons.forEach((button, i) => {
    button.setAttribute('aria-selected', String(i === chosen));
    button.tabIndex = i === chosen ? 0 : -1;
    panels[i].hidden = i !== chosen;
    if (i === chosen && focus) button.focus();
  });
  const buttons = panels.map((panel, i) => {
    const button = make('button', '', panel.querySelector('h3').textContent);
    button.id = panel.id + '-tab';
    button.setAttribute('role', 'tab');
    button.setAttribute('aria-controls', panel.id);
    panel.setAttribute('role', 'tabpanel');
    panel.setAttribute('aria-labelledby', button.id);
    button.addEventListener('click', () => show(i));
    button.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) show((i + step + panels.length) % panels.length, true);
    });
    list.append(button);
    return button;
  });
  group.prepend(list);
  show(0);
}

// Sorting: by data-sort where given, else by text; cells without a value stay at the end.
const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
for (const table of all('table[data-sortable]')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make('button', 'sort');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const now = head.getAttribute('aria-sort'); // numbers start with the largest, words with the first
      const up = now ? now === 'descending' : !head.classList.contains('num');
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => ({ row, text: key(row, column), value: Number(key(row, column)) }));
      const numeric = rows.every(({ text, value }) => text === '' || !Number.isNaN(value));
      rows.sort((a, b) => {
        if (a.text === '' || b.text === '') return (a.text === '') - (b.text === '');
        const order = numeric ? (a.value < b.value ? -1 : a.value > b.value ? 1 : 0) : a.text.localeCompare(b.text, 'en', { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows.map(({ row }) => row));
    });
  });
}

// Tips. The SVG's own title would show a second one, so it becomes the accessible name.
const tip = make('div', 'tip');
document.body.append(tip);
for (const title of all('svg > title')) {
  title.parentNode.setAttribute('aria-label', title.textContent);
  title.parentNode.removeAttribute('aria-labelledby');
  title.parentNode.setAttribute('aria-describedby', title.nextElementSibling.id);
  title.remove();
}
document.addEventListener('pointerover', (event) => {
  const mark = event.target.closest?.('[data-tip]');
  tip.classList.toggle('on', Boolean(mark));
  if (mark) tip.textContent = mark.dataset.tip;
});
document.addEventListener('pointermove', (event) => {
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = event.clientX + 14 + width > innerWidth ? event.clientX - width - 10 : event.clientX + 14;
  const top = event.clientY + 16 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 16;
  tip.style.left = Math.max(4, left) + 'px';
  tip.style.top = Math.max(4, top) + 'px';
});

// Enlarging.
const dialog = make('dialog', '');
const large = make('img', '');
const words = make('p', '');
dialog.append(large, words);
document.body.append(dialog);
dialog.addEventListener('click', () => dialog.close());
for (const button of all('.zoom')) button.addEventListener('click', () => {
  const image = button.querySelector('img');
  large.src = image.src;
  large.alt = words.textContent = image.alt;
  dialog.showModal();
});

// Colour scheme: as the system says, until chosen otherwise.
for (const button of all('[data-theme-switch]')) {
  button.hidden = false;
  button.addEventListener('click', () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });
}

// Where we are in the list of contents.
const links = new Map(all('nav a').map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    links.forEach((link) => link.classList.remove('here'));
    links.get(target.id)?.classList.add('here');
  }
}, { rootMargin: '-12% 0px -75% 0px' });
for (const section of all('section[id]')) if (links.has(section.id)) seen.observe(section);
})();`;
