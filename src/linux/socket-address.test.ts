/** Addresses: as values and bytes, both ways, and as the kernel gives them. */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addressText, AF, decodeAddress, encodeAddress, type SocketAddress } from './socket-address.ts';
import { addressOf, openSocket, SOCK, withAddress } from './sockets.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const word = fc.nat(0xffff_ffff);
const port = fc.nat(0xffff);
const path = fc.uint8Array({ min: 1, minLength: 1, maxLength: 107 });
const abstract = fc.uint8Array({ maxLength: 107 }).map((name) => Uint8Array.of(0, ...name));
const addresses: fc.Arbitrary<SocketAddress> = fc.oneof(
  fc.record({ family: fc.constant('unix' as const), name: fc.oneof(path, abstract, fc.constant(new Uint8Array(0))) }),
  fc.record({ family: fc.constant('inet' as const), address: bytes(4), port }),
  fc.record({ family: fc.constant('inet6' as const), address: bytes(16), port, flow: word, scope: word }),
  fc.record({ family: fc.constant('netlink' as const), port: word, groups: word }),
  fc.record({ family: fc.constant('packet' as const), protocol: port, interface: fc.nat(0x7fff_ffff) }),
);

test('what was encoded decodes to the same address', () => {
  fc.assert(fc.property(addresses, (address) => assert.deepEqual({ ...decodeAddress(encodeAddress(address)) }, { ...address })));
});

test('any bytes decode to an address, or to none', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 128 }), (any) => void decodeAddress(any)));
});

test('addresses as people write them', () => {
  const inet6 = (address: number[], scope = 0): SocketAddress => {
    return { family: 'inet6', address: Uint8Array.from(address), port: 80, flow: 0, scope };
  };
  const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
  assert.equal(addressText({ family: 'inet', address: Uint8Array.of(127, 0, 0, 1), port: 80 }), '127.0.0.1:80');
  assert.equal(addressText(inet6([...zeros(15), 1])), '[::1]:80');
  assert.equal(addressText(inet6([0xfe, 0x80, ...zeros(13), 1], 2)), '[fe80::1%2]:80');
  assert.equal(addressText(inet6([...zeros(10), 255, 255, 10, 0, 0, 1])), '[::ffff:10.0.0.1]:80');
  assert.equal(addressText(inet6(zeros(16))), '[::]:80');
  assert.equal(addressText({ family: 'unix', name: Buffer.from('\0x') }), '@x');
});

test('the kernel reads and writes them the same way', () => {
  for (const address of [
    { family: 'inet', address: Uint8Array.of(127, 0, 0, 1), port: 0 },
    {
      family: 'inet6',
      address: Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0)),
      port: 0,
      flow: 0,
      scope: 0,
    },
  ] as const) {
    const fd = openSocket(address.family === 'inet' ? AF.INET : AF.INET6, SOCK.STREAM);
    assert.equal(withAddress('bind', fd, encodeAddress(address)), 0);
    const found = decodeAddress(addressOf('getsockname', fd) ?? new Uint8Array(0));
    assert.ok(found?.family === address.family && found.port > 0);
    assert.deepEqual({ ...found, port: 0 }, address);
    closeSync(fd);
  }
});
