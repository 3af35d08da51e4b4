<?php
// Settings of the wiki: the host name of a request says which database it is about.

if ( !defined( 'MEDIAWIKI' ) ) {
	exit;
}

$wgDBtype = 'postgres';
$wgDBserver = getenv( 'RL_LOOP_POSTGRES' );
$wgDBport = 5432;
$wgDBname = defined( 'EPISODE' ) ? EPISODE : ( getenv( 'RL_LOOP_DATABASE' ) ?: 'no-episode' );
$wgDBuser = 'postgres';
$wgDBpassword = '';
$wgDBmwschema = 'public';

$wgServer = PHP_SAPI === 'cli-server' ? 'http://' . $_SERVER['HTTP_HOST'] : 'http://localhost';
$wgSitename = 'Aldshire Wiki';
$wgMetaNamespace = 'Project';
$wgScriptPath = '';
$wgArticlePath = '/wiki/$1';
$wgUsePathInfo = true;
$wgLanguageCode = 'en';
$wgLocaltimezone = 'UTC';
$wgSecretKey = str_repeat( '0123456789abcdef', 4 );
$wgUpgradeKey = false;
$wgCookiePrefix = 'wiki';
$wgAuthenticationTokenVersion = null;

$wgCacheDirectory = getenv( 'WIKI_ROOT' ) . '/var/cache/mediawiki';
$wgLocalisationCacheConf['store'] = 'array';
$wgLocalisationCacheConf['manualRecache'] = true;
// Nothing is cached but in the episode's own database: its keys may be those of the template, whose rows are cloned.
$wgCachePrefix = 'wiki';
$wgMainCacheType = CACHE_NONE;
$wgParserCacheType = CACHE_NONE;
$wgMessageCacheType = CACHE_NONE;
$wgSessionCacheType = CACHE_DB;
$wgMainStash = 'db-replicated';
$wgUseDatabaseMessages = false;

$wgForceDeferredUpdatesPreSend = true;
$wgJobRunRate = 100;
$wgRunJobsAsync = false;

$wgEnableEmail = false;
$wgEnableUploads = false;
$wgUploadDirectory = ( getenv( 'RL_LOOP_FOLDER' ) ?: sys_get_temp_dir() ) . '/images';
$wgRateLimits = [];
$wgAllowUserCss = $wgAllowUserJs = $wgUseSiteCss = $wgUseSiteJs = false;
$wgPingback = false;
// Without addresses in the lists of changes, the block of an editor blocks no address by itself.
$wgPutIPinRC = false;
$wgUseRCPatrol = $wgUseNPPatrol = false;
// A page is watched only by whoever asks for it.
foreach ( [ 'watchdefault', 'watchcreations', 'watchdeletion', 'watchmoves', 'watchrollback', 'watchuploads' ] as $option ) {
	$wgDefaultUserOptions[$option] = 0;
}
// The edits are old: lists of changes show them all the same.
$wgDefaultUserOptions['rcdays'] = $wgDefaultUserOptions['watchlistdays'] = 7000;
// Their pages without scripts: those would store preferences at a mere visit.
$wgDefaultUserOptions['rcenhancedfilters-disable'] = $wgDefaultUserOptions['wlenhancedfilters-disable'] = 1;
$wgRCMaxAge = 20 * 365 * 86400;

$wgLogos = [ '1x' => '/resources/assets/mediawiki.png' ];

wfLoadSkin( 'Vector' );
$wgDefaultSkin = 'vector';
