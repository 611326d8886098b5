// The old README's JavaScript client in Node, its code unchanged but for the port. Arguments: the daemon's URL, and the SockJS transport to force (none: the client's choice).
// Prints a line `TIP {...}` or `REACTION {...}` for each event.
'use strict';
const fs = require('fs');
const path = require('path');
const RealSockJS = require('sockjs-client');
const Stomp = require('stompjs');

const [url, transport] = process.argv.slice(2);
const code = fs.readFileSync(path.join(__dirname, 'readme_snippet.js'), 'utf8').replace('http://localhost:8080', url);
function SockJS(target) {
  return new RealSockJS(target, null, transport ? { transports: [transport] } : undefined);
}
const show = word => event => process.stdout.write(word + ' ' + JSON.stringify(event) + '\n');
new Function('SockJS', 'Stomp', 'console', 'displayTip', 'displayReaction', code)(SockJS, Stomp, { log: () => {} }, show('TIP'), show('REACTION'));
