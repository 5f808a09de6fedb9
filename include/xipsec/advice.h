/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What to do about a packet that ended with a reason: for `xipsec explain` and for the table in
 * docs/operations.md, which tools/dev/advice.sh makes from this list. What the reason means stands
 * in reason.h. Reasons that nobody has to do anything about are not here.
 */
#ifndef XIPSEC_ADVICE_H
#define XIPSEC_ADVICE_H

/* X(symbol of the reason, what to do) */
#define XIPSEC_ADVICE(X)                                                                           \
	X(NOT_OUTBOUND,                                                                            \
	  "`ip route get DST`: the routing table must send it out of a black interface; "          \
	  "`net.ipv4.ip_forward` and `net.ipv6.conf.all.forwarding` must be 1")                    \
	X(MALFORMED_ETH, "more than two VLAN tags are not followed; else capture at the sender: "  \
			 "the frame is cut")                                                       \
	X(MALFORMED_IP4,                                                                           \
	  "capture at the sender: a length in the header is not that of the packet")               \
	X(MALFORMED_IP6,                                                                           \
	  "capture at the sender: a length in the header is not that of the packet; jumbograms "   \
	  "are refused")                                                                           \
	X(MALFORMED_L4,                                                                            \
	  "capture at the sender: the transport header is cut or contradicts itself")              \
	X(IP6_CHAIN, "capture at the sender: that many extension headers are hardly meant")        \
	X(ETHERTYPE, "if it is wanted: `allow = 0x88cc` (its ethertype) in `datapath {}`")         \
	X(DISCARD,                                                                                 \
	  "`xipsec policy`: the rule that discards stands before any that would let it through")   \
	X(NO_POLICY,                                                                               \
	  "write a policy for it; `local` is our side in both directions. DHCP and MLD: `allow = " \
	  "dhcp, mld`")                                                                            \
	X(PLAINTEXT_IN,                                                                            \
	  "the other side must send ESP: is its policy the mirror of ours? If it may come in the " \
	  "clear, a BYPASS policy must stand before the one that protects")                        \
	X(PLAINTEXT_OUT,                                                                           \
	  "forwarded packets are sealed where they come in: give that interface the role "         \
	  "protected; or the route leads by an interface without a role: `ip route get DST`")      \
	X(NO_SA,                                                                                   \
	  "compare `spi`, `dst` and `encap` of both sides' configs; `xipsec sa` lists what is up") \
	X(NO_SA_OUT,                                                                               \
	  "is xipsecd running? `xipsec sa` must show a live outbound SA of that child: `xipsec "   \
	  "up CHILD` says why there is none of one of `connections {}`; of manual keys `sas { "    \
	  "... child = }` must name it")                                                           \
	X(FRAG_OPAQUE,                                                                             \
	  "put the policy without ports first where that is what you want, or avoid fragments")    \
	X(FRAG_SHORT, "nobody sends such fragments by mistake: look at the sender")                \
	X(REASSEMBLY_CLOSED,                                                                       \
	  "the path between the gateways has a smaller MTU: lower the MTU of the route to the "    \
	  "peer, at the sender; IKE: use its own fragmentation (RFC 7383)")                        \
	X(PMTU_IGNORED, "nothing: anybody can send such errors")                                   \
	X(PMTU_LEARNED, "nothing: it has done its work")                                           \
	X(NAT_KEEPALIVE, "nothing: it has done its work")                                          \
	X(HOST_CLOSED, "is xipsecd running, and is there a /dev/net/tun? `ip link show xipsec0`")  \
	X(ENGINE_CLOSED, "the MTU must fit one frame (3498 at most): xipsecd's log")               \
	X(NO_WORKER,                                                                               \
	  "`xipsec status`: do workers run, how often were they started? xipsecd's log (\"has no " \
	  "AF_XDP socket\") says why a queue has none")                                            \
	X(NO_IFACE, "`xipsec attach --all`: the programs do not know this interface any more")     \
	X(NO_SPD, "`xipsec attach --all --upgrade`, then `xipsec reload`")                         \
	X(FOREIGN_MAC,                                                                             \
	  "the MAC must be the interface's own or of a VLAN or macvlan on it that is up; where a " \
	  "switch floods or the NIC is promiscuous it is harmless")                                \
	X(STALE_META, "nothing: it waited in a ring while its policy or SA changed")               \
	X(BAD_META, "nothing may send into `xipsec0` but the programs: who does?")                 \
	X(REPLAY, "nothing, unless it grows fast: then somebody repeats packets")                  \
	X(REPLAY_OLD, "raise `replay_window`; has somebody restored the sender's state_dir?")      \
	X(ICV, "compare key files by `sha256sum`; `esn` must be equal on both sides")              \
	X(ESP_SHORT, "`algorithm` must be equal on both sides; or the packet was cut on its way")  \
	X(ESP_PAD, "`algorithm` must be equal on both sides")                                      \
	X(NEXT_HEADER, "`mode` must be equal on both sides")                                       \
	X(SELECTOR,                                                                                \
	  "the policies of both sides must mirror each other, or set `local_ts`, `remote_ts`")     \
	X(INNER_MALFORMED, "capture at the host that sent it, before it was sealed")               \
	X(INNER_LOCAL, "xipsecd's log: is there a /dev/net/tun?")                                  \
	X(INNER_BLACK, "`ip route get DST` here: the inner destination must lie behind red")       \
	X(SEQ_END, "new keys now; use `esn = yes`")                                                \
	X(SEQ_WAIT,                                                                                \
	  "slow disk under `state_dir`; full or read-only file system: see xipsecd's log")         \
	X(TOO_BIG, "does the sender's firewall drop ICMP? (told: `icmp_sent`) Else lower its MTU") \
	X(TTL, "a routing loop, or the sender's TTL is too small")                                 \
	X(NO_ROUTE, "`ip route get DST` for the peer's or the inner destination")                  \
	X(NO_NEIGH,                                                                                \
	  "`ip neigh`: the next hop does not answer; or the packets of one SA name more "          \
	  "new destinations at a time than a worker asks for (64)")                                \
	X(TX_FULL,                                                                                 \
	  "workers are slower than the wire: more workers need more receive queues (`ethtool "     \
	  "-L`); look at the load of each worker's core")                                          \
	X(RX_FULL,                                                                                 \
	  "workers are slower than the wire: more workers need more receive queues (`ethtool "     \
	  "-L`); look at the load of each worker's core")                                          \
	X(CRYPTO, "a bug or broken hardware: xipsecd's log, then report it")                       \
	X(FRAG_TRANSPORT, "use tunnel mode, or avoid fragments")                                   \
	X(LIMIT, "new keys; raise the limit (`life_*`)")                                           \
	X(ECN, "look at the sender: it marks packets that say they cannot carry it")               \
	X(OPENED_ECN,                                                                              \
	  "something between the gateways, or the other one, changes the marks in outer headers; " \
	  "nothing is lost")                                                                       \
	X(LINK_SCOPE,                                                                              \
	  "a peer says by its SA what only a neighbour may say to this host: give routes and "     \
	  "addresses by configuration")                                                            \
	X(NO_TUNNEL, "xipsecd's log; is the name of the tunnel taken by another interface?")       \
	X(AH_SHORT, "`algorithm` must be equal on both sides")                                     \
	X(AH_FRONT, "AH with such headers in front of it is not opened: use ESP")                  \
	X(IKE_CLOSED, "start xipsec-iked, or use manual keys on both sides")                       \
	X(NO_XDP, "the XDP program was taken off: `xipsec status`, then `xipsec attach --all`")    \
	X(FRAG_LOST, "nothing: the sender's fragments overlap, or one of them was dropped before") \
	X(UNSPEC, "a bug: report it with the packet")

#endif
