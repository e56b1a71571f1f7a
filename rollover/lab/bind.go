package lab

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A lab whose parent's primary is BIND: the zone is signed by BIND itself and
// takes dynamic updates of DS records, signed with the key in UpdateKeyFile.

// MissingBIND names the Debian packages that a lab with BIND needs beyond
// those of Missing, and those of the programs that tests ask updates with.
func MissingBIND() []string {
	var missing []string
	for _, need := range []struct{ program, pkg string }{{"named", "bind9"}, {"dnssec-cds", "bind9-utils"}, {"nsupdate", "bind9-dnsutils"}} {
		if findProgram("", need.program) == nil {
			missing = append(missing, need.pkg)
		}
	}
	return missing
}

// UpdateKeyFile is the TSIG key with which the parent's BIND takes updates.
func (l *Lab) UpdateKeyFile() string { return filepath.Join(l.p1.dir, "update.key") }

// bindAddress is where BIND lives: it listens at addresses of interfaces only,
// and of 127/8 that is 127.0.0.1 alone.
func bindAddress(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

var errBIND = errors.New("the parent of this lab is BIND: change its DS sets by dynamic updates")

// configureBIND writes what the parent's primary needs, its zone without DS
// records included.
func (l *Lab) configureBIND() error {
	program := findProgram("", "named")
	if program == nil {
		return errors.New("a lab with BIND needs the package bind9")
	}
	s := l.p1
	own, err := unconfined(program, filepath.Join(s.dir, "named"), "/etc/apparmor.d/usr.sbin.named")
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("making a TSIG key: %w", err)
	}
	key := fmt.Sprintf("key \"rollover\" {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", base64.StdEncoding.EncodeToString(secret))
	if err := writeFile(l.UpdateKeyFile(), key); err != nil {
		return err
	}
	conf := filepath.Join(s.dir, "named.conf")
	s.command = append(own, "-g", "-n", "1", "-c", conf)
	return writeFile(conf, l.bindConfig())
}

func (l *Lab) bindConfig() string {
	s := l.p1
	_, port, _ := net.SplitHostPort(s.addr) // built by us
	follower, _, _ := net.SplitHostPort(l.p2.addr)
	return fmt.Sprintf(`include %[1]q;
options {
	directory %[2]q;
	pid-file none;
	session-keyfile none;
	lock-file none;
	listen-on port %[3]s { %[4]s; };
	listen-on-v6 { none; };
	recursion no;
	dnssec-validation no;
	empty-zones-enable no;
	allow-transfer { 127.0.0.0/8; };
	notify explicit;
	notify-delay 0;
	notify-source %[4]s;
	query-source address %[4]s;
	transfer-source %[4]s;
	also-notify { %[5]s port %[3]s; };
};
controls { };
dnssec-policy "lab" { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; };
zone %[6]q {
	type primary;
	file "zone.db";
	dnssec-policy "lab";
	inline-signing no;
	update-policy { grant rollover subdomain %[6]s DS; };
};
`, l.UpdateKeyFile(), s.dir, port, s.ip(), follower, bare(l.options.Parent))
}

// awaitSigned waits until BIND has signed its zone.
func (l *Lab) awaitSigned(ctx context.Context) error {
	return poll(ctx, 20*time.Millisecond, func() error {
		_, signed, err := l.serial(ctx, l.p1, l.options.Parent)
		if err == nil && !signed {
			err = fmt.Errorf("%s is not signed yet", l.options.Parent)
		}
		return errors.Join(l.p1.check(), err)
	})
}

// bindAnchors is the DS records of the parent zone's own key.
func (l *Lab) bindAnchors(ctx context.Context) ([]string, error) {
	answer, err := ask(ctx, l.p1.addr, l.options.Parent, dns.TypeDNSKEY)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, rr := range answer.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok {
			out = append(out, strings.TrimSpace(rdata(key.ToDS(dns.SHA256))))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s serves no DNSKEY of %s", l.p1.addr, l.options.Parent)
	}
	return out, nil
}
