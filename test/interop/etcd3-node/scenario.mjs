// What a Node service does with etcd, by the npm package etcd3 as it is. Prints one line per step that went as it should; any other
// outcome ends the process with an error.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Etcd3, EtcdLeaseInvalidError, EtcdLockFailedError } from 'etcd3';

const client = new Etcd3({ hosts: process.argv[2] });
const done = (step) => console.log(`ok ${step}`);

await client.put('services/a').value('10.0.0.1:80');
await client.put('services/b').value('10.0.0.2:80');
assert.equal(await client.get('services/a').string(), '10.0.0.1:80');
assert.equal(await client.get('services/none').string(), null);
done('put and get');

assert.deepEqual(await client.getAll().prefix('services/').strings(), { 'services/a': '10.0.0.1:80', 'services/b': '10.0.0.2:80' });
assert.deepEqual(await client.getAll().prefix('services/').sort('Key', 'Descend').limit(1).keys(), ['services/b']);
assert.equal(await client.getAll().prefix('services/').count(), 2);
done('ranges');

const watcher = await client.watch().prefix('services/').create();
const put = once(watcher, 'put');
await client.put('services/c').value('10.0.0.3:80');
assert.equal((await put)[0].key.toString(), 'services/c');
const deleted = once(watcher, 'delete');
await client.delete().key('services/c');
assert.equal((await deleted)[0].key.toString(), 'services/c');
done('watch');

const first = (await client.get('services/a').exec()).kvs[0].mod_revision;
const replay = await client.watch().prefix('services/').startRevision(first).create();
const replayed = [];
await new Promise((resolve) => {
  replay.on('put', (kv) => {
    replayed.push(kv.key.toString());
    if (replayed.length === 3) resolve();
  });
});
assert.deepEqual(replayed, ['services/a', 'services/b', 'services/c']);
await replay.cancel();
done('watch from a revision');

const lease = client.lease(10);
await lease.put('services/leased').value('10.0.0.4:80');
await lease.keepaliveOnce();
const gone = once(watcher, 'delete');
await lease.revoke();
assert.equal((await gone)[0].key.toString(), 'services/leased');
await assert.rejects(lease.put('services/leased').value('x').exec(), EtcdLeaseInvalidError);
done('lease');

const outcome = await client
  .if('services/a', 'Value', '==', '10.0.0.1:80')
  .then(client.put('services/a').value('10.0.0.9:80'), client.get('services/b'))
  .else(client.get('services/a'))
  .commit();
assert.equal(outcome.succeeded, true);
assert.equal(await client.get('services/a').string(), '10.0.0.9:80');
done('transaction');

const lock = client.lock('job');
await lock.acquire();
await assert.rejects(client.lock('job').acquire(), EtcdLockFailedError);
await lock.release();
await client.lock('job').do(async () => done('lock'));

const election = client.election('leader', 10);
const campaign = election.campaign('me');
await once(campaign, 'elected');
assert.equal(await election.leader(), 'me');
await campaign.resign();
done('election');

await client.delete().all();
assert.equal(await client.getAll().count(), 0);
done('delete all');

await watcher.cancel();
client.close();
