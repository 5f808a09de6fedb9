# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# tshark as a judge of ESP: given the keys, it decrypts and verifies. Sourced after gateway.sh.

# uat FAMILY SRC DST SPI KEY: one row of Wireshark's table of SAs.
uat()
{
	printf 'uat:esp_sa:"%s","%s","%s","0x%08x","AES-GCM with 16 octet ICV [RFC4106]","0x%s","NULL",""' "$@"
}

# judge FILE SPI FIELD...: of the packets of that SPI.
judge()
{
	local file=$1 spi=$2 field args=()
	shift 2
	for field; do args+=(-e "$field"); done
	tshark -r "$file" -Y "esp.spi == $spi" -T fields -E occurrence=a \
		-o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE \
		-o "$(uat IPv4 192.0.2.1 192.0.2.2 "$SPI_AB4" "$KEY_AB4")" \
		-o "$(uat IPv4 192.0.2.2 192.0.2.1 "$SPI_BA4" "$KEY_BA4")" \
		-o "$(uat IPv6 2001:db8::1 2001:db8::2 "$SPI_AB6" "$KEY_AB6")" \
		-o "$(uat IPv6 2001:db8::2 2001:db8::1 "$SPI_BA6" "$KEY_BA6")" "${args[@]}" 2>/dev/null
}

# direction WHAT FILE SPI INNER-FIELD INNER-DST: every packet decrypts, verifies, and holds what was
# sent.
direction()
{
	local what=$1 file=$2 spi=$3 inner=$4 dst=$5 all good

	all=$(judge "$file" "$spi" esp.icv_good | wc -l)
	good=$(judge "$file" "$spi" esp.icv_good | grep -c '^1$')
	check_gt "$what: packets were seen" "$all" 4
	check_eq "$what: tshark verifies every ICV" "$good" "$all"
	check_eq "$what: every inner packet is for $dst" \
		"$(judge "$file" "$spi" "$inner" | grep -c "$dst\$")" "$all"
}
