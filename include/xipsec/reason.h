/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a packet passed, was handed on, or was dropped.
 *
 * One list for the programs, the workers, the client, the metrics and the docs (docs/reasons.md is
 * made from it). A packet ends in exactly one terminal reason per process that handled it: the
 * programs count in the map `reasons`, the workers in `worker_stats`.
 *
 * Kinds: PASS  goes on to the kernel's stack: in the clear, or our own ESP or IKE, or with a mark
 *              without which kernel XFRM does not seal it and the guard drops it
 *        STEER handed to a worker, to be sealed or opened there
 *        DONE  a worker has sealed, opened or answered it
 *        DROP  ends here
 * Append only: numbers are part of the ABI (XIPSEC_ABI in maps.h).
 */
#ifndef XIPSEC_REASON_H
#define XIPSEC_REASON_H

/* X(symbol, name, kind, text): the name is also that of a member of struct xipsec_reasons */
#define XIPSEC_REASONS(X)                                                                        \
	X(UNSPEC, unspec, DROP, "no reason was given: a bug")                                    \
	/* passes, in the programs */                                                            \
	X(NOT_OUTBOUND, not_outbound, PASS, "from red, and does not leave by a black interface") \
	X(BYPASS_OUT, bypass_out, PASS, "outbound policy says bypass")                           \
	X(BYPASS_IN, bypass_in, PASS, "inbound policy says bypass")                              \
	X(ARP, arp, PASS, "built-in pass: ARP")                                                  \
	X(ND, nd, PASS, "built-in pass: neighbour discovery, hop limit 255")                     \
	X(DHCP, dhcp, PASS, "built-in pass: DHCP, allowed in the config")                        \
	X(MLD, mld, PASS, "built-in pass: MLD, allowed in the config")                           \
	X(ETHERTYPE_PASS, ethertype_pass, PASS, "built-in pass: ethertype named in the config")  \
	X(IKE_IN, ike_in, PASS, "IKE to a local address")                                        \
	X(IKE_OUT, ike_out, PASS, "IKE from a socket that xipsecd opened")                       \
	X(ESP_OWN, esp_own, PASS, "ESP of an outbound SA of ours, from the kernel")              \
	/* handed on, in the programs */                                                         \
	X(STEER_OUT, steer_out, STEER, "outbound policy says protect: to a worker")              \
	X(STEER_IN, steer_in, STEER, "ESP of a live SA: to a worker")                            \
	X(STEER_UDP_IN, steer_udp_in, STEER, "ESP in UDP of a live SA: to a worker")             \
	/* done, in the workers */                                                               \
	X(SEALED, sealed, DONE, "encapsulated and sent")                                         \
	X(OPENED, opened, DONE, "decapsulated and sent on")                                      \
	X(ICMP_SENT, icmp_sent, DONE, "answered with an ICMP error")                             \
	/* drops, in the programs */                                                             \
	X(MALFORMED_ETH, malformed_eth, DROP, "Ethernet header cut short or over two VLAN tags") \
	X(MALFORMED_IP4, malformed_ip4, DROP, "IPv4 header cut short or contradicting itself")   \
	X(MALFORMED_IP6, malformed_ip6, DROP, "IPv6 header cut short or contradicting itself")   \
	X(MALFORMED_L4, malformed_l4, DROP, "transport header cut short")                        \
	X(IP6_CHAIN, ip6_chain, DROP, "more than 6 IPv6 extension headers, or a bad one")        \
	X(ETHERTYPE, ethertype, DROP, "neither IP nor a named ethertype on a black interface")   \
	X(DISCARD, discard, DROP, "policy says discard")                                         \
	X(NO_POLICY, no_policy, DROP, "no policy matches: discard")                              \
	X(PLAINTEXT_IN, plaintext_in, DROP, "in the clear from black, where policy wants ESP")   \
	X(PLAINTEXT_OUT, plaintext_out, DROP,                                                    \
	  "in the clear towards black, where policy wants ESP")                                  \
	X(NO_SA, no_sa, DROP, "ESP or AH for us with no SA")                                     \
	X(NO_SA_OUT, no_sa_out, DROP, "policy says protect and no SA is up")                     \
	X(FRAG_OPAQUE, frag_opaque, DROP,                                                        \
	  "fragment whose hidden ports could match another policy")                              \
	X(FRAG_SHORT, frag_short, DROP, "first fragment without its whole header chain")         \
	X(NAT_KEEPALIVE, nat_keepalive, DROP, "NAT keepalive, done its work by arriving")        \
	X(REASSEMBLY_CLOSED, reassembly_closed, DROP,                                            \
	  "fragment of ESP, AH or IKE to us: its first was not seen, or too many wait")          \
	X(PMTU_IGNORED, pmtu_ignored, DROP,                                                      \
	  "ICMP error about our ESP that is not believed, or tells no smaller MTU")              \
	X(HOST_CLOSED, host_closed, DROP,                                                        \
	  "this host's own under a protect policy, and there is no TAP")                         \
	X(ENGINE_CLOSED, engine_closed, DROP, "the SA's engine cannot take this packet here")    \
	X(NO_WORKER, no_worker, DROP, "no worker has a socket on this queue")                    \
	X(NO_IFACE, no_iface, DROP, "program runs on an interface it was not told about")        \
	X(NO_SPD, no_spd, DROP, "no policy database is loaded")                                  \
	/* drops, in the workers */                                                              \
	X(STALE_META, stale_meta, DROP, "verdict older than the SA or policy it names")          \
	X(BAD_META, bad_meta, DROP, "frame without a verdict of ours")                           \
	X(REPLAY, replay, DROP, "sequence number seen before")                                   \
	X(REPLAY_OLD, replay_old, DROP, "sequence number left of the replay window")             \
	X(ICV, icv, DROP, "integrity check failed")                                              \
	X(ESP_SHORT, esp_short, DROP, "ESP packet too short or of a wrong length")               \
	X(ESP_PAD, esp_pad, DROP, "padding length or padding bytes are wrong")                   \
	X(NEXT_HEADER, next_header, DROP, "next header inside ESP is not what the SA carries")   \
	X(DUMMY, dummy, DROP, "dummy packet (next header 59)")                                   \
	X(SELECTOR, selector, DROP, "decrypted packet is outside its SA's selectors")            \
	X(INNER_MALFORMED, inner_malformed, DROP, "inner packet is not well-formed IP")          \
	X(INNER_LOCAL, inner_local, DROP,                                                        \
	  "decrypted packet is for this host, and no TAP takes it")                              \
	X(INNER_BLACK, inner_black, DROP, "decrypted packet would leave by a black interface")   \
	X(SEQ_END, seq_end, DROP, "sequence numbers are used up: the SA has stopped")            \
	X(SEQ_WAIT, seq_wait, DROP, "sequence numbers not reserved on disk yet")                 \
	X(TOO_BIG, too_big, DROP, "does not fit after encapsulation")                            \
	X(TTL, ttl, DROP, "TTL or hop limit reached zero")                                       \
	X(NO_ROUTE, no_route, DROP, "no route to the next hop")                                  \
	X(NO_NEIGH, no_neigh, DROP, "next hop does not answer ARP or ND")                        \
	X(TX_FULL, tx_full, DROP, "transmit ring or frame pool full")                            \
	X(RX_FULL, rx_full, DROP, "worker's receive ring full (XDP_STATISTICS)")                 \
	X(CRYPTO, crypto, DROP, "the crypto library failed: a bug or broken hardware")           \
	/* drops, in the programs */                                                             \
	X(FOREIGN_MAC, foreign_mac, DROP, "frame to a MAC that is not this interface's")         \
	/* drops, in the workers */                                                              \
	X(FRAG_TRANSPORT, frag_transport, DROP, "fragment, and the SA is of transport mode")     \
	X(LIMIT, limit, DROP, "the SA has reached a hard limit: it has stopped")                 \
	X(ECN, ecn, DROP, "congestion mark on a packet that cannot carry it (RFC 6040)")         \
	/* drops, in the programs */                                                             \
	X(PMTU_LEARNED, pmtu_learned, DROP, "ICMP error that lowered an SA's path MTU")          \
	/* this host's own traffic, and interfaces that routes lead into */                      \
	X(HOST_OUT, host_out, STEER, "this host's own, policy says protect: to a worker")        \
	X(OPENED_LOCAL, opened_local, DONE, "decapsulated and given to this host")               \
	X(NO_TUNNEL, no_tunnel, DROP, "the interface that the SA leads to is not there")         \
	/* what does not fit */                                                                  \
	X(FRAGMENTED, fragmented, DONE, "cut into fragments, which are counted for themselves")  \
	/* drops, in the workers */                                                              \
	X(AH_SHORT, ah_short, DROP, "AH header of a wrong length")                               \
	X(AH_FRONT, ah_front, DROP, "headers in front of AH that it cannot protect")             \
	/* done, in the workers */                                                               \
	X(DUMMY_SENT, dummy_sent, DONE, "dummy packet, sent while its SA was idle")              \
	X(KEEPALIVE_SENT, keepalive_sent, DONE, "NAT keepalive, sent while its SA was idle")     \
	/* fragments of what is for us */                                                        \
	X(REASSEMBLE, reassemble, PASS,                                                          \
	  "fragment of ESP, AH or IKE to us: the stack puts it together")                        \
	X(IKE_CLOSED, ike_closed, DROP,                                                          \
	  "IKE on port 4500, read by a worker: xipsec-iked has no socket for it")                \
	X(REASSEMBLED, reassembled, DONE,                                                        \
	  "fragment of this host's own: put together with the others")                           \
	X(FRAG_LOST, frag_lost, DROP,                                                            \
	  "this host's own fragment that contradicts the others, or datagram whose others did "  \
	  "not come")                                                                            \
	/* drops, in the programs behind XDP */                                                  \
	X(NO_XDP, no_xdp, DROP, "for a worker, and the XDP program that hands over is gone")     \
	X(ICMP_QUOTE, icmp_quote, DROP,                                                          \
	  "decrypted ICMP error about a packet that is outside its SA's selectors")              \
	/* kernel XFRM */                                                                        \
	X(XFRM_OUT, xfrm_out, PASS, "outbound policy says protect: marked for kernel XFRM")      \
	X(XFRM_IN, xfrm_in, PASS, "ESP of an SA of kernel XFRM, or an ICMP error about it")      \
	X(XFRM_OPENED, xfrm_opened, PASS,                                                        \
	  "opened by kernel XFRM, and inside the policies of its SA's child")                    \
	/* done, in the workers */                                                               \
	X(OPENED_ECN, opened_ecn, DONE,                                                          \
	  "decapsulated and sent on, with congestion marks that no tunnel makes (RFC 6040)")     \
	/* handed on, in the programs */                                                         \
	X(XFRM_SPREAD, xfrm_spread, STEER,                                                       \
	  "ESP of an SA of kernel XFRM: to the CPU of that SA, where it is xfrm_in")             \
	/* drops, in the workers */                                                              \
	X(LINK_SCOPE, link_scope, DROP,                                                          \
	  "decrypted neighbour discovery or redirect: no SA is a link of this host's")

enum xipsec_reason {
#define XIPSEC_REASON_ENUM(sym, name, kind, text) XIPSEC_REASON_##sym,
	XIPSEC_REASONS(XIPSEC_REASON_ENUM)
#undef XIPSEC_REASON_ENUM
		XIPSEC_REASON_COUNT
};

/* Room for later reasons without a new ABI; arrays are this long. */
#define XIPSEC_REASON_MAX 96

enum xipsec_reason_kind {
	XIPSEC_KIND_PASS,
	XIPSEC_KIND_STEER,
	XIPSEC_KIND_DONE,
	XIPSEC_KIND_DROP,
};

_Static_assert(XIPSEC_REASON_COUNT <= XIPSEC_REASON_MAX, "raise XIPSEC_REASON_MAX and the ABI");

#endif
