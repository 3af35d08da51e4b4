#!/bin/sh
# Makes the tables of an empty wiki in the database `golden`, and the file with all interface messages.
set -eu
php="$WIKI_ROOT/usr/bin/php8.2"
programs="$WIKI_ROOT/usr/share/mediawiki/maintenance"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The installer refuses to run when there are settings, and writes its own, which nobody needs.
env -u MW_CONFIG_FILE "$php" "$programs/install.php" \
	--dbtype postgres --dbserver "$RL_LOOP_POSTGRES" --dbport 5432 --dbname "$RL_LOOP_DATABASE" --dbschema public \
	--dbuser postgres --dbpass '' --installdbuser postgres --installdbpass '' \
	--server http://localhost --scriptpath '' --confpath "$scratch" --pass 'rl-loop wiki 1' 'Aldshire Wiki' Robin
mkdir -p "$WIKI_ROOT/var/cache/mediawiki"
"$php" "$programs/rebuildLocalisationCache.php" --lang=en --force
