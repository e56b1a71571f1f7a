// Package pdnstest is a PowerDNS for tests: a pdnsutil and pdns_control with a
// key table in a file instead of a database, and a contract that it must
// fulfil together with the real ones.
//
// The fake speaks the command line and the output of 4.7.3, with the old
// command names. Its state is DIR/fake.json, where DIR comes from
// --config-dir, because pdns.Tool clears the environment.
//
// A test binary becomes pdnsutil when it is started under that name:
//
//	func TestMain(m *testing.M) {
//		switch filepath.Base(os.Args[0]) {
//		case "pdnsutil", "pdns_control":
//			pdnstest.Exit()
//		}
//		os.Exit(m.Run())
//	}
package pdnstest
