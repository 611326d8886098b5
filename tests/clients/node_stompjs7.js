// @stomp/stompjs 7 over a raw WebSocket, with its own defaults for versions and heart-beats. When it comes back it says where it was.
// Prints as node_readme.js; `CONNECTED` with the version and the sub-protocol first.
'use strict';
const { Client } = require('@stomp/stompjs');
const { WebSocket } = require('ws');

let last;
const client = new Client({
  reconnectDelay: 500,
  webSocketFactory: () => new WebSocket(process.argv[2].replace('http', 'ws') + '/ws', ['v12.stomp', 'v11.stomp', 'v10.stomp']),
  onConnect: () => {
    process.stdout.write('CONNECTED ' + client.connectedVersion + ' ' + client.webSocket.protocol + '\n');
    client.subscribe('/topic/rooms/gaming_stream_123', message => {
      const event = JSON.parse(message.body);
      last = message.headers.seq;
      process.stdout.write((event.amount !== undefined ? 'TIP ' : 'REACTION ') + message.body + '\n');
    }, last ? { 'after-seq': last } : {});
  },
  onStompError: frame => {
    process.stderr.write('ERROR ' + frame.headers.message + '\n');
    process.exit(1);
  },
});
client.activate();
process.stdin.on('end', () => client.deactivate().then(() => process.exit(0))).resume();
