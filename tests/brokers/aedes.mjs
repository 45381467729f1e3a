// The broker aedes for the tests: node aedes.mjs FOLDER-OF-NODE_MODULES PORT WEBSOCKET-PORT.
// Each line of the standard input is the list of what it refuses from then on, as
// {"publish": [prefix], "subscribe": [prefix]}: it hangs up on such a topic, as aedes does.
import { createServer as createHttp } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [folder, port, webPort] = process.argv.slice(2)
const { Aedes } = await import(pathToFileURL(`${folder}/aedes/aedes.js`))
const { WebSocketServer, createWebSocketStream } = await import(pathToFileURL(`${folder}/ws/wrapper.mjs`))

let refused = { publish: [], subscribe: [] }
createInterface({ input: process.stdin })
  .on('line', (line) => { refused = JSON.parse(line) })
  .on('close', () => process.exit(0))

const isRefused = (kind, topic) => refused[kind].some((prefix) => topic.startsWith(prefix))
const broker = await Aedes.createBroker({
  authorizePublish: (client, packet, done) =>
    done(isRefused('publish', packet.topic) ? new Error(`not allowed: ${packet.topic}`) : null),
  authorizeSubscribe: (client, wanted, done) =>
    isRefused('subscribe', wanted.topic) ? done(new Error('not allowed')) : done(null, wanted)
})
for (const event of ['clientError', 'connectionError']) {
  broker.on(event, (client, fault) => console.log(event, client && client.id, fault.message))
}

const web = createHttp()
new WebSocketServer({ server: web, path: '/farm/mqtt' }).on('connection', (socket, request) =>
  broker.handle(createWebSocketStream(socket), request))
web.listen(Number(webPort), '127.0.0.1')
createTcp(broker.handle).listen(Number(port), '127.0.0.1', () => console.log('listening'))
