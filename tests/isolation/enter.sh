#!/bin/sh
# Runs a program where the launcher's folders are empty: enter.sh ROOT PREFIX "FOLDERS OF PACKAGES" "HIDDEN FOLDERS" PROGRAM...
# Runs in a mount namespace of its own, so that nothing changes outside it.
set -eu
root=$1 prefix=$2 packages=$3 hidden=$4
shift 4
mount --make-rprivate /
mkdir -p "$root/python"
mount --bind "$prefix" "$root/python"
number=0
for folder in $packages; do
  mkdir -p "$root/packages/$number"
  mount --bind -o ro "$folder" "$root/packages/$number"
  number=$((number + 1))
done
for folder in $hidden; do
  if [ -d "$folder" ]; then mount -t tmpfs tmpfs "$folder"; fi
done
# The interpreter may have been in one of them.
if [ ! -d "$prefix" ]; then
  mkdir -p "$prefix"
  mount --bind "$root/python" "$prefix"
fi
cd "$root/work"
exec env -i "$@"
