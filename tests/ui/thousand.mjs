// The dashboard of a real monitor that watches a thousand services; tests/bench/web brings it. SENTINEL_CONTROL takes
// POSTs of /NUMBER: that service fails. Prints one line of JSON: milliseconds to the painted list, and from each change
// to the screen.
import {launch, open, order} from './browser.mjs';

const {SENTINEL_URL: url, SENTINEL_CONTROL: control, SENTINEL_TRIALS: trials, SENTINEL_SERVICES: services} = process.env;
const PAINTS = 9;

const browser = await launch();
try {
  const paints = [];
  let page;
  for (let i = 0; i < PAINTS; ++i) {
    await page?.context().close();
    page = await open(browser, url);  // with an empty cache
    await page.goto(url);
    await page.locator('.row').first().waitFor();
    await page.getByText(`${services} services watched`).waitFor();
    paints.push(await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))));
  }
  await page.locator('.c-live').waitFor();
  await page.evaluate(() => {
    window.seen = {};
    const look = () => {
      const found = /^(\d+) services? do(es)? not work/.exec(document.querySelector('.headline h1').textContent);
      if (found) requestAnimationFrame(() => setTimeout(() => (window.seen[found[1]] ??= Date.now())));
    };
    new MutationObserver(look).observe(document.querySelector('main'), {subtree: true, childList: true, characterData: true});
  });
  const updates = [];
  for (let i = 1; i <= Number(trials); ++i) {
    const at = Date.now();
    await order(control, i);
    await page.waitForFunction((count) => window.seen[count], String(i), {polling: 20});
    updates.push(await page.evaluate((count) => window.seen[count], String(i)) - at);
  }
  if (page.faults.length > 0) throw new Error(page.faults.join('; '));
  console.log(JSON.stringify({paints, updates}));
} finally {
  await browser.close();
}
