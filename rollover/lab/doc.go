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
package lab
