// A receiver that believes only what the npm package standardwebhooks believes. Argument: the secret. Prints `PORT n`, then `TIP {...}` or `REACTION {...}` for each verified delivery.
'use strict';
const http = require('http');
const { Webhook } = require('standardwebhooks');

const webhook = new Webhook(process.argv[2]);
const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', part => parts.push(part));
  request.on('end', () => {
    try {
      const event = webhook.verify(Buffer.concat(parts).toString('utf8'), request.headers);
      process.stdout.write((event.amount !== undefined ? 'TIP ' : 'REACTION ') + JSON.stringify(event) + '\n');
      response.writeHead(200).end();
    } catch (error) {
      process.stderr.write('not verified: ' + error + '\n');
      response.writeHead(400).end();
    }
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write('PORT ' + server.address().port + '\n'));
