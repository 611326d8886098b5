// Headless Chromium with the pages that a dashboard has. Arguments: the daemon's URL, the static server's URL (with the npm packages below /), a way: `readme`, `stompjs7`, `eventsource`,
// and for readme the SockJS transport to force. Prints as node_readme.js.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const { chromium } = require('playwright-core');

const [url, pages, way, transport] = process.argv.slice(2);
const snippet = fs.readFileSync(path.join(__dirname, 'readme_snippet.js'), 'utf8').replace('http://localhost:8080', url);

const ways = {
  readme: {
    scripts: ['/sockjs-client/dist/sockjs.min.js', '/stompjs/lib/stomp.min.js'],
    code: `const force = ${JSON.stringify(transport || '')};
      if (force) { const Real = SockJS; window.SockJS = function(target) { return new Real(target, null, {transports: [force]}); }; }
      (function() { ${snippet} })();`,
  },
  stompjs7: {
    scripts: ['/@stomp/stompjs/bundles/stomp.umd.min.js'],
    code: `let last;
      const client = new StompJs.Client({brokerURL: '${url.replace('http', 'ws')}/ws', reconnectDelay: 500, onConnect: () => client.subscribe('/topic/rooms/gaming_stream_123', message => {
        const event = JSON.parse(message.body);
        last = message.headers.seq;
        (event.amount !== undefined ? displayTip : displayReaction)(event);
      }, last ? {'after-seq': last} : {})});
      client.activate();`,
  },
  eventsource: {
    scripts: [],
    code: `const source = new EventSource('${url}/api/rooms/gaming_stream_123/events');
      source.onmessage = message => { const event = JSON.parse(message.data); (event.amount !== undefined ? displayTip : displayReaction)(event); };`,
  },
};

async function main() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tipcurrent-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  process.stdin.on('end', () => context.close().finally(() => { fs.rmSync(profile, { recursive: true, force: true }); process.exit(0); })).resume();
  const page = await context.newPage();
  page.on('pageerror', error => process.stderr.write('page: ' + error + '\n'));
  page.on('console', message => process.stderr.write('console: ' + message.text() + '\n'));
  await page.exposeFunction('displayTip', event => process.stdout.write('TIP ' + JSON.stringify(event) + '\n'));
  await page.exposeFunction('displayReaction', event => process.stdout.write('REACTION ' + JSON.stringify(event) + '\n'));
  await page.goto(pages + '/package.json'); // any page of that origin
  for (const script of ways[way].scripts) await page.addScriptTag({ url: pages + script });
  await page.addScriptTag({ content: ways[way].code });
}

main().catch(error => {
  process.stderr.write(String(error) + '\n');
  process.exit(1);
});
