# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Keys, certificates and CAs, made by openssl, in $PKI. Sourced after scenario.sh.

PKI=$WORK/pki
mkdir -p "$PKI"

# pki_key NAME rsa|ecdsa|ed25519
pki_key()
{
	case $2 in
	rsa) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$PKI/$1.key" ;;
	ecdsa) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$PKI/$1.key" ;;
	*) openssl genpkey -algorithm ed25519 -out "$PKI/$1.key" ;;
	esac 2>/dev/null && chmod 600 "$PKI/$1.key"
}

# pki_ca NAME KIND
pki_ca()
{
	pki_key "$1" "$2" && openssl req -x509 -new -key "$PKI/$1.key" -subj "/O=xipsec/CN=$1" -days 30 \
		-addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
		-out "$PKI/$1.pem" 2>/dev/null
}

# pki_cert NAME KIND CA SAN [DAYS [EXTENSIONS]]
pki_cert()
{
	printf '%s\n' "${6:-basicConstraints=CA:FALSE
keyUsage=digitalSignature
subjectAltName=DNS:$4}" >"$PKI/$1.ext"
	pki_key "$1" "$2" &&
		openssl req -new -key "$PKI/$1.key" -subj "/O=xipsec/CN=$1" -out "$PKI/$1.csr" 2>/dev/null &&
		openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/$3.pem" -CAkey "$PKI/$3.key" -CAcreateserial \
			-days "${5:-30}" -extfile "$PKI/$1.ext" -out "$PKI/$1.pem" 2>/dev/null
}
