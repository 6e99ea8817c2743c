#!/usr/bin/env bash
# Installs the Debian packages that tests use, where this user may; says what is missing where not.
set -u
declare -A program=([chromium]=chromium [dcmtk]=dcmdump)
missing=()
for package in "${!program[@]}"; do
    command -v "${program[$package]}" > /dev/null || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"; } > /dev/null 2>&1 && exit 0
fi
echo "not installed: ${missing[*]}; the tests that need them are skipped (install them with apt-get as root)"
