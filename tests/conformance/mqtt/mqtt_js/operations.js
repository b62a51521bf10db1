// Every public operation of MQTT.js 5 against one broker: `node operations.js URL VERSION`. It says the name of each
// operation that was found right, and ends with 1 at the first that was not.
'use strict';
const assert = require('node:assert/strict');
const { once } = require('node:events');
const mqtt = require('mqtt');

const [url, version] = [process.argv[2], Number(process.argv[3])];
const five = version === 5;
const protocol = { protocolVersion: version, protocolId: version === 3 ? 'MQIsdp' : 'MQTT', reconnectPeriod: 0 };
const base = `js/${version}/${url.split(':')[0]}`;
const DEADLINE_MS = 20000;
let named = 0;

const within = (promise, what) => Promise.race([
  promise,
  new Promise((_, reject) => setTimeout(() => reject(new Error(`in vain: ${what}`)), DEADLINE_MS).unref()),
]);
const event = (client, name) => within(once(client, name), name);
const connect = (options = {}) => within(mqtt.connectAsync(url, {
  ...protocol, connectTimeout: DEADLINE_MS,
  clientId: `js-${version}-${process.pid}-${named++}`, ...options,
}), 'connect');
// The next messages, as [topic, payload, packet].
const messages = (client, count) => within(new Promise(resolve => {
  const found = [];
  const take = (topic, payload, packet) => {
    found.push([topic, payload.toString(), packet]);
    if (found.length === count) { client.off('message', take); resolve(found); }
  };
  client.on('message', take);
}), `${count} messages`);
const payloads = found => found.map(([, payload]) => payload);

const operations = {
  async 'connect and end'() {
    const client = mqtt.connect(url, protocol);
    const [connack] = await event(client, 'connect');
    assert.equal(client.connected, true);
    assert.equal(connack.sessionPresent, false);
    const ended = event(client, 'end'), closed = event(client, 'close');
    await within(new Promise((resolve, reject) => client.end(false, {}, error => error ? reject(error) : resolve())), 'end');
    await Promise.all([ended, closed]);
    assert.equal(client.disconnected, true);
    await (await connect()).endAsync(true);
  },

  async 'subscribe in each form'() {
    const client = await connect();
    const granted = await client.subscribeAsync(`${base}/one`);
    assert.deepEqual(granted.map(each => [each.topic, each.qos]), [[`${base}/one`, 0]]);
    const list = await client.subscribeAsync([`${base}/a`, `${base}/b/#`], { qos: 1 });
    assert.deepEqual(list.map(each => each.qos), [1, 1]);
    const map = await client.subscribeAsync({ [`${base}/c`]: { qos: 2 }, [`${base}/d/+`]: { qos: 0 } });
    assert.deepEqual(map.map(each => each.qos), [2, 0]);
    await within(new Promise((resolve, reject) =>
      client.subscribe(`${base}/e`, { qos: 2 }, (error, found) => error ? reject(error) : resolve(found))), 'callback');
    await assert.rejects(client.subscribeAsync('a/#/b'));
    await client.endAsync();
  },

  async 'publish at each QoS, in order'() {
    const client = await connect();
    await client.subscribeAsync(`${base}/order/+`, { qos: 2 });
    const coming = messages(client, 90);
    for (let n = 0; n < 90; n++) client.publish(`${base}/order/${n % 3}`, String(n), { qos: n % 3 });
    const found = await coming;
    for (const qos of [0, 1, 2]) {
      const own = found.filter(([topic]) => topic.endsWith(String(qos)));
      assert.deepEqual(payloads(own), Array.from({ length: 30 }, (_, n) => String(n * 3 + qos)));
      assert.ok(own.every(([, , packet]) => packet.qos === qos && !packet.dup && !packet.retain));
    }
    assert.ok(client.getLastMessageId() > 0);
    await within(new Promise(resolve => client.publish(`${base}/order/0`, Buffer.from([0, 255]), resolve)), 'callback');
    const emptied = event(client, 'outgoingEmpty');
    client.publish(`${base}/order/1`, 'on its way when the end comes', { qos: 1 });
    await Promise.all([emptied, client.endAsync()]);
  },

  async 'unsubscribe'() {
    const client = await connect();
    await client.subscribeAsync([`${base}/gone`, `${base}/stays`]);
    await client.unsubscribeAsync(`${base}/gone`);
    await within(new Promise((resolve, reject) =>
      client.unsubscribe([`${base}/never`], error => error ? reject(error) : resolve())), 'callback');
    const coming = messages(client, 1);
    await client.publishAsync(`${base}/gone`, 'no', { qos: 1 });
    await client.publishAsync(`${base}/stays`, 'yes', { qos: 1 });
    assert.deepEqual(payloads(await coming), ['yes']);
    await client.endAsync();
  },

  async 'retained messages'() {
    const client = await connect();
    await client.publishAsync(`${base}/kept`, 'kept', { qos: 1, retain: true });
    const coming = messages(client, 1);
    await client.subscribeAsync(`${base}/kept`, { qos: 1 });
    const [[, payload, packet]] = await coming;
    assert.deepEqual([payload, packet.retain], ['kept', true]);
    await client.publishAsync(`${base}/kept`, '', { qos: 1, retain: true });
    const other = await connect(), marked = messages(other, 1);
    await other.subscribeAsync([`${base}/kept`, `${base}/mark`]);
    await other.publishAsync(`${base}/mark`, 'nothing before it');
    assert.deepEqual(payloads(await marked), ['nothing before it']);
    await Promise.all([client.endAsync(), other.endAsync()]);
  },

  async 'a will'() {
    const watcher = await connect();
    await watcher.subscribeAsync(`${base}/will`, { qos: 1 });
    const coming = messages(watcher, 1);
    const properties = five ? { willDelayInterval: 0, contentType: 'text/plain' } : undefined;
    const client = await connect({ will: { topic: `${base}/will`, payload: 'gone', qos: 1, retain: false, properties } });
    client.stream.destroy();
    const [[, payload, packet]] = await coming;
    assert.equal(payload, 'gone');
    if (five) assert.equal(packet.properties.contentType, 'text/plain');
    client.end(true);
    await watcher.endAsync();
  },

  async 'a session that is kept, and reconnect()'() {
    const properties = five ? { sessionExpiryInterval: 60 } : undefined;
    const client = await connect({ clean: false, properties, clientId: `js-kept-${version}-${process.pid}-${base.length}` });
    await client.subscribeAsync(`${base}/later`, { qos: 2 });
    await client.endAsync();
    const other = await connect();
    await other.publishAsync(`${base}/later`, '1', { qos: 1 });
    await other.publishAsync(`${base}/later`, '2', { qos: 2 });
    const coming = messages(client, 2), connected = event(client, 'connect');
    client.reconnect();
    const [connack] = await connected;
    assert.equal(connack.sessionPresent, version !== 3);  // 3.1 has no such flag
    assert.deepEqual(payloads(await coming), ['1', '2']);
    await Promise.all([client.endAsync(), other.endAsync()]);
    const last = await connect({ clean: true, clientId: client.options.clientId });
    await last.endAsync();
  },

  async 'a connection that breaks, and is made again by itself'() {
    const client = await connect({ reconnectPeriod: 20 });
    await client.subscribeAsync(`${base}/again`, { qos: 1 });  // it subscribes anew by itself
    const seen = ['close', 'offline', 'reconnect', 'connect'].map(name => event(client, name));
    client.stream.destroy();
    await Promise.all([...seen, client.publishAsync(`${base}/elsewhere`, 'kept in the store meanwhile', { qos: 1 })]);
    const coming = messages(client, 1);
    await client.publishAsync(`${base}/again`, 'after it', { qos: 1 });
    assert.deepEqual(payloads(await coming), ['after it']);
    await client.endAsync();
  },

  async 'keep-alive'() {
    const client = await connect({ keepalive: 1 });
    const answers = [];
    client.on('packetreceive', packet => packet.cmd === 'pingresp' && answers.push(packet));
    client.sendPing();
    client.reschedulePing(true);
    while (answers.length < 3) await event(client, 'packetreceive');
    assert.equal(client.connected, true);
    await client.endAsync();
  },

  async 'packets as events, and stores and identifiers of its own'() {
    const options = {
      incomingStore: new mqtt.Store({ clean: false }), outgoingStore: new mqtt.Store({ clean: false }),
      messageIdProvider: new mqtt.UniqueMessageIdProvider(),
    };
    const client = await connect(options), sent = [], received = [];
    client.on('packetsend', packet => sent.push(packet.cmd));
    client.on('packetreceive', packet => received.push(packet.cmd));
    await client.publishAsync(`${base}/flow`, 'x', { qos: 2 });
    assert.deepEqual(sent, ['publish', 'pubrel']);
    assert.deepEqual(received, ['pubrec', 'pubcomp']);
    await client.endAsync();
  },

  async 'handleMessage holds back, removeOutgoingMessage gives up'() {
    const client = await connect();
    const handled = [];
    client.handleMessage = (packet, done) => { handled.push(packet.payload.toString()); setTimeout(done, 5); };
    await client.subscribeAsync(`${base}/slow`, { qos: 1 });
    for (let n = 0; n < 5; n++) await client.publishAsync(`${base}/slow`, String(n), { qos: 1 });
    while (handled.length < 5) await event(client, 'packetsend');
    assert.deepEqual(handled, ['0', '1', '2', '3', '4']);
    const given = within(new Promise(resolve => client.publish(`${base}/slow`, 'x', { qos: 1 }, resolve)), 'callback');
    client.removeOutgoingMessage(client.getLastMessageId());
    assert.equal((await given).message, 'Message removed');
    await client.endAsync(true);
  },

  async 'a client identifier that another takes over'() {
    const clientId = `js-two-${version}-${process.pid}-${base.length}`;
    const first = await connect({ clientId });
    const ends = five ? event(first, 'disconnect') : event(first, 'close');
    const second = await connect({ clientId });
    const [packet] = await ends;
    if (five) assert.equal(packet.reasonCode, 0x8e);
    assert.equal(second.connected, true);
    first.end(true);
    await second.endAsync();
  },
};

if (version !== 3) operations['an empty client identifier'] = async () => {
  const client = mqtt.connect(url, { ...protocol, clientId: '' });
  const [connack] = await event(client, 'connect');
  if (five) assert.match(connack.properties.assignedClientIdentifier, /./);
  await client.endAsync();
};

if (five) Object.assign(operations, {
  async 'properties of a message'() {
    const client = await connect(), coming = messages(client, 1);
    await client.subscribeAsync(`${base}/properties`, { qos: 1, properties: { subscriptionIdentifier: 42 } });
    const properties = {
      payloadFormatIndicator: true, messageExpiryInterval: 60, responseTopic: 'answers', contentType: 'text/plain',
      correlationData: Buffer.from('17'), userProperties: { a: ['1', '2'], b: '3' },
    };
    await client.publishAsync(`${base}/properties`, 'x', { qos: 1, properties });
    const [[, , packet]] = await coming;
    const { messageExpiryInterval, userProperties, subscriptionIdentifier, ...others } = packet.properties;
    assert.ok(messageExpiryInterval <= 60 && messageExpiryInterval > 0);
    assert.deepEqual({ ...userProperties }, properties.userProperties);
    assert.equal(subscriptionIdentifier, 42);
    assert.deepEqual({ ...others }, {
      payloadFormatIndicator: true, responseTopic: 'answers', contentType: 'text/plain', correlationData: Buffer.from('17'),
    });
    await client.endAsync();
  },

  async 'options of a subscription'() {
    const client = await connect(), other = await connect();
    await other.publishAsync(`${base}/options`, 'kept', { qos: 1, retain: true });
    await client.subscribeAsync(`${base}/options`, { qos: 1, nl: true, rap: true, rh: 2 });
    const coming = messages(client, 1);
    await client.publishAsync(`${base}/options`, 'my own', { qos: 1 });
    await other.publishAsync(`${base}/options`, 'as published', { qos: 1, retain: true });
    const [[, payload, packet]] = await coming;
    assert.deepEqual([payload, packet.retain], ['as published', true]);
    await other.publishAsync(`${base}/options`, '', { qos: 1, retain: true });
    await Promise.all([client.endAsync(), other.endAsync()]);
  },

  async 'shared subscriptions'() {
    const members = [await connect(), await connect()], found = [];
    for (const member of members) {
      member.on('message', (_, payload) => found.push(payload.toString()));
      await member.subscribeAsync(`$share/g/${base}/shared`, { qos: 1 });
    }
    const client = await connect();
    for (let n = 0; n < 10; n++) await client.publishAsync(`${base}/shared`, String(n), { qos: 1 });
    while (found.length < 10) await within(new Promise(resolve => setImmediate(resolve)), 'ten');
    assert.deepEqual(found.map(Number).sort((a, b) => a - b), [...Array(10).keys()]);
    await Promise.all([...members, client].map(each => each.endAsync()));
  },

  async 'topic aliases both ways'() {
    const client = await connect({ autoAssignTopicAlias: true, properties: { topicAliasMaximum: 5 } });
    const coming = messages(client, 20), topics = [];
    client.on('packetsend', packet => packet.cmd === 'publish' && topics.push(packet.topic));
    await client.subscribeAsync(`${base}/alias/+`);
    for (let n = 0; n < 20; n++) client.publish(`${base}/alias/${n % 2}`, String(n));
    assert.deepEqual((await coming).map(([topic, payload]) => [topic, payload]),
      Array.from({ length: 20 }, (_, n) => [`${base}/alias/${n % 2}`, String(n)]));
    assert.ok(topics.includes(''), 'no alias was used');
    await client.endAsync();
  },

  async 'receive maximum and maximum packet size'() {
    const client = await connect({ properties: { receiveMaximum: 2, maximumPacketSize: 200 } });
    const coming = messages(client, 20);
    await client.subscribeAsync(`${base}/bounded`, { qos: 1 });
    const other = await connect();
    await other.publishAsync(`${base}/bounded`, 'x'.repeat(500), { qos: 1 });
    for (let n = 0; n < 20; n++) await other.publishAsync(`${base}/bounded`, String(n), { qos: 1 });
    assert.deepEqual(payloads(await coming), Array.from({ length: 20 }, (_, n) => String(n)));
    await Promise.all([client.endAsync(), other.endAsync()]);
  },

  async 'reasons'() {
    const client = await connect();
    const answer = event(client, 'packetreceive');
    await client.publishAsync(`${base}/nobody`, 'x', { qos: 1 });
    assert.equal((await answer)[0].reasonCode, 0x10);
    const refused = await within(new Promise(resolve => client.publish('$SYS/mine', 'x', { qos: 1 }, resolve)), 'refusal');
    assert.equal(refused.code, 0x87);
    await within(new Promise(resolve =>
      client.end(false, { reasonCode: 4, properties: { sessionExpiryInterval: 0 } }, resolve)), 'end');
  },

  async 'an authentication method that the server has not'() {
    const refused = mqtt.connect(url, {
      ...protocol, properties: { authenticationMethod: 'none', authenticationData: Buffer.from('x') },
    });
    refused.handleAuth = (_, callback) => callback(new Error('no AUTH was to come'));
    const [error] = await event(refused, 'error');
    assert.equal(error.code, 0x8c);
    refused.end(true);
  },
});

(async () => {
  for (const [name, run] of Object.entries(operations)) {
    try { await run(); } catch (error) { console.error(`${name}:`, error); process.exit(1); }
    console.log(name);
  }
  process.exit(0);
})();
