#!/bin/sh
# axe-core, which judges pages by the rules of accessibility: one release from npm, checked, into the folder that is named.
set -u
folder=$1
version=4.14.1
integrity=FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==
[ -e "$folder/axe-$version.js" ] && exit 0
if ! command -v npm >/dev/null 2>&1; then
	echo "tests will be skipped for want of npm, which axe-core comes by" >&2
	exit 0
fi
echo "fetching axe-core $version into $folder ..." >&2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
archive=$work/axe-core-$version.tgz
if ! (cd "$work" && npm pack --silent "axe-core@$version" >/dev/null) || [ ! -e "$archive" ]; then
	echo "could not fetch axe-core; run tests/axe.sh by hand to see why" >&2
	exit 1
fi
if [ "$(openssl dgst -sha512 -binary "$archive" | base64 -w 0)" != "$integrity" ]; then
	echo "axe-core $version is not what was expected" >&2
	exit 1
fi
mkdir -p "$folder" && tar -xzf "$archive" -C "$work" package/axe.min.js && rm -f "$folder"/axe-*.js &&
	mv "$work/package/axe.min.js" "$folder/axe-$version.js"
