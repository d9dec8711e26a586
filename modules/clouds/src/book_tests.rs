//! The book gives, keeps, and explains.

use super::*;

fn node() -> Node {
    Node::new("n1", "192.0.2.1")
}

fn guest(id: &str, ports: &[(&str, u16, Option<u16>)]) -> GuestSpec {
    let ports = ports
        .iter()
        .map(|(name, port, host)| Port {
            name: (*name).into(),
            port: *port,
            count: 1,
            host: *host,
            protocols: vec![Protocol::Tcp],
        })
        .collect();
    GuestSpec { id: id.into(), driver: "lxc".into(), node: "n1".into(), ports, ..GuestSpec::default() }
}

fn give(book: &mut Book, want: &GuestSpec) -> Result<Allocation, String> {
    let network = Network::parse("10.5.0.0/16", None).expect("a network");
    let mut next = 0_u8;
    let mut random = || {
        next += 1;
        [0xff, 0, next]
    };
    book.give(&node(), want, Some(&network), Said::default(), &mut random)
}

#[test]
fn addresses_and_ports_are_given_in_order_and_kept() {
    let mut book = Book::default();
    let a = give(&mut book, &guest("a", &[("ssh", 22, None), ("http", 80, None)])).expect("an allocation");
    assert_eq!(a.ip.expect("an address").to_string(), "10.5.0.2");
    assert_eq!(a.mac.as_deref(), Some("00:16:3e:7f:00:01"), "the first random byte stays under 0x80");
    assert_eq!((a.ports["ssh"].host, a.ports["http"].host), (40_000, 40_001));
    let b = give(&mut book, &guest("b", &[("ssh", 22, None)])).expect("an allocation");
    assert_eq!((b.ip.expect("an address").to_string(), b.ports["ssh"].host), ("10.5.0.3".into(), 40_002));
    assert_eq!(b.mac.as_deref(), Some("00:16:3e:7f:00:02"), "a MAC that is taken is not given again");
    // Again, after the other is gone, and through the file: the same.
    let text = serde_json::to_string(&book).expect("text");
    let mut book: Book = serde_json::from_str(&text).expect("a book");
    book.release("n1", "a");
    assert_eq!(give(&mut book, &guest("b", &[("ssh", 22, None)])).expect("an allocation"), b);
    // What is free again is given again.
    assert_eq!(give(&mut book, &guest("c", &[("ssh", 22, None)])).expect("an allocation").ports["ssh"].host, 40_000);
}

#[test]
fn addresses_that_the_original_skips_are_skipped() {
    let network = Network::parse("10.5.0.0/23", None).expect("a network");
    let usable: Vec<String> = network.usable().map(|ip| ip.to_string()).collect();
    assert_eq!(usable.first().map(String::as_str), Some("10.5.0.2"));
    assert_eq!(usable.last().map(String::as_str), Some("10.5.1.253"));
    assert!(!usable.iter().any(|ip| ip.ends_with(".0") || ip.ends_with(".255")));
    let small = Network::parse("10.5.0.0/29", None).expect("a network");
    let mut book = Book::default();
    let random = || [1, 2, 3];
    let mut results = vec![];
    for id in ["a", "b", "c", "d", "e"] {
        let ports = guest(id, &[]);
        let mut next = random();
        next[2] = id.as_bytes()[0];
        results.push(book.give(&node(), &ports, Some(&small), Said::default(), &mut || next).map(|a| a.ip));
    }
    assert!(results[3].is_ok(), "{results:?}");
    assert_eq!(results[4], Err("e: no address is left in 10.5.0.0/29 of n1".into()));
}

#[test]
fn conflicts_name_both_sides() {
    let mut book = Book::default();
    give(&mut book, &guest("a", &[("ssh", 22, None)])).expect("an allocation");
    let error = give(&mut book, &guest("b", &[("web", 80, Some(40_000))])).expect_err("a conflict");
    assert!(
        error.contains("40000/tcp of n1 is wanted by b/web and belongs to a/ssh, to which it was given"),
        "{error}"
    );
    assert!(book.of("n1", "b").is_none(), "nothing is written for a guest that gets nothing");
    give(&mut book, &guest("c", &[("web", 80, Some(8080))])).expect("an allocation");
    let error = give(&mut book, &guest("d", &[("web", 80, Some(8080))])).expect_err("a conflict");
    assert!(error.contains("belongs to c/web, which says so"), "{error}");
    // The same number for another protocol is no conflict.
    let mut udp = guest("e", &[("dns", 53, Some(8080))]);
    udp.ports[0].protocols = vec![Protocol::Udp];
    give(&mut book, &udp).expect("an allocation");
}

#[test]
fn ranges_stay_together_and_excluded_ports_are_not_given() {
    let mut book = Book::default();
    let mut node = node();
    node.excluded_ports = vec![40_001, 40_005];
    let mut want = guest("a", &[("ssh", 22, None), ("many", 9000, None)]);
    want.ports[1].count = 3;
    let given = book.give(&node, &want, None, Said::default(), &mut || [0; 3]).expect("an allocation");
    assert_eq!((given.ports["ssh"].host, given.ports["many"].host), (40_000, 40_002));
    assert_eq!((given.ip, given.mac), (None, None), "no network, no address");
    let next = book.give(&node, &guest("b", &[("ssh", 22, None)]), None, Said::default(), &mut || [0; 3]);
    assert_eq!(next.expect("an allocation").ports["ssh"].host, 40_006);
}
