<?php
// First program of every request: finds the episode, then runs one of the wiki's own programs or sends one of its files.
//
// The answer leaves only when the program has ended, so that whoever sees a page sees also what follows from its
// request: MediaWiki runs jobs and updates after it has flushed the page. The server disables `flush`, and this buffer
// can't be removed.

define( 'WIKI', getenv( 'WIKI_ROOT' ) . '/usr/share/mediawiki' );
const PROGRAMS = [ 'index.php', 'load.php', 'api.php', 'rest.php' ];
const FILES = '#^/(?:resources|skins)/[A-Za-z0-9_./-]+\.(?:css|js|json|png|jpg|gif|svg|ico|woff|woff2)$#D';
const TYPES = [
	'css' => 'text/css', 'js' => 'text/javascript', 'json' => 'application/json', 'svg' => 'image/svg+xml',
	'png' => 'image/png', 'jpg' => 'image/jpeg', 'gif' => 'image/gif', 'ico' => 'image/x-icon',
	'woff' => 'font/woff', 'woff2' => 'font/woff2',
];

/** Does nothing in place of PHP's function, which is disabled. */
function flush(): void {
}

/** Ends the request with a plain text. */
function answer( int $status, string $text ): never {
	http_response_code( $status );
	header( 'Content-Type: text/plain' );
	print $text;
	exit;
}

$path = parse_url( $_SERVER['REQUEST_URI'] ?? '/', PHP_URL_PATH ) ?: '/';
if ( preg_match( '/^(e[0-9a-f]{16})\.localhost(:\d+)?$/D', $_SERVER['HTTP_HOST'] ?? '', $found ) !== 1 ) {
	$path === '/healthz' ? answer( 200, 'ok' ) : answer( 404, 'no such episode' );
}
define( 'EPISODE', $found[1] );
if ( preg_match( FILES, $path ) === 1 && !str_contains( $path, '..' ) && is_file( WIKI . $path ) ) {
	header( 'Content-Type: ' . TYPES[pathinfo( $path, PATHINFO_EXTENSION )] );
	header( 'Cache-Control: public, max-age=86400' );
	readfile( WIKI . $path );
	exit;
}
$program = explode( '/', $path )[1];
if ( $path === '/' || str_starts_with( $path, '/wiki/' ) ) {
	$program = 'index.php';
}
if ( !in_array( $program, PROGRAMS, true ) ) {
	answer( 404, 'no such page' );
}
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = "/$program";
$_SERVER['SCRIPT_FILENAME'] = WIKI . "/$program";
$_SERVER['PATH_INFO'] = str_starts_with( $path, "/$program/" ) ? rawurldecode( substr( $path, strlen( "/$program" ) ) ) : '';
ob_start( null, 0, 0 );
chdir( WIKI );
require WIKI . "/$program";
