/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux/if_xdp.h, with what Linux 6.6 has brought to it and Debian 12's headers do not know:
 * packets in several frames. Numbers are the kernel's (Documentation/networking/af_xdp.rst).
 */
#ifndef LIB_IF_XDP_H
#define LIB_IF_XDP_H

#include <linux/if_xdp.h>

#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4) /* sxdp_flags: this socket takes packets in several frames */
#endif

#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0) /* xdp_desc.options: the packet goes on in the next descriptor */
#endif

#endif
