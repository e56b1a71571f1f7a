// Package lab is a throw-away DNS world of real servers on loopback: a signed
// parent zone on two PowerDNS servers, signed child zones on two more, and a
// validating resolver (Unbound) that trusts the parent's key. Rollovers are
// rehearsed and tested in it.
//
//	127.0.53.1  parent, primary          127.0.53.2  parent, secondary (AXFR)
//	127.0.53.3  children, primary        127.0.53.4  children, secondary (AXFR)
//	127.0.53.5  validator
//
// All of them listen on one unprivileged port, so that the addresses of a
// zone's NS names together with that port are its servers. No program in the
// lab needs root, and none sends anything beyond loopback. Caches of PowerDNS
// keep their defaults: who works in the lab must cope with them, as outside.
//
// Three watchers say whether something went wrong. An Asker is a user of the
// validator. A Recorder looks at every server and keeps every version of
// every record that it saw; Check then combines all versions that could have
// been in somebody's cache at one moment, which is the exact model of what
// validators can meet: RRsets are cached one by one, from any server.
//
// StartBroken builds another world, of zones that are broken in the ways in
// which operators break them, with healthy ones between them (the table is in
// seeds.go). Two oracles say what a validator makes of each: Unbound, and delv
// of BIND. Since many faults show at one server only, each server of the
// children has resolvers that ask no other:
//
//	127.0.53.9        a name server that never answers
//	127.0.53.10       a strict validator: harden-algo-downgrade
//	127.0.53.11       any server, not validating, for delv
//	127.0.53.12, 13   127.0.53.3 only: validating, and not, for delv
//	127.0.53.14, 15   127.0.53.4 only
//	127.0.53.16, 17   127.0.53.9 only
//
// StartCombinations builds a third, with a zone for each combination of keys,
// signers and DS records that a test asks for, on 127.0.53.3, for the resolvers
// at 127.0.53.5, 10 and 11.
package lab
