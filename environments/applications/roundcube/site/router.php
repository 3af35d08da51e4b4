<?php
// Router of PHP's web server: the host name of a request says which episode it is about.

function reachable(string $variable): bool
{
    $socket = @fsockopen('127.0.0.1', (int) getenv($variable), $number, $text, 1.0);
    return $socket !== false && fclose($socket);
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (!preg_match('/^(e[0-9a-f]{16})\.localhost(?::\d+)?$/D', $_SERVER['HTTP_HOST'] ?? '', $found)) {
    $healthy = $path === '/healthz' && reachable('RL_LOOP_IMAP') && reachable('RL_LOOP_SMTP');
    http_response_code($healthy ? 200 : ($path === '/healthz' ? 503 : 404));
    header('Content-Type: text/plain');
    echo $healthy ? 'ok' : 'no such episode';
    return true;
}
if ($path !== '/' && $path !== '/index.php') {
    // The server sends files of the pages itself; programs and settings are no pages.
    $is_file = preg_match('~^/(skins|program/js|program/resources|plugins)/[\w./-]+\.(css|js|png|svg|gif|jpg|ico|woff2?|html|json|webp|tiff?|pdf|wav|mp3|ogg)$~D', $path)
        || in_array($path, ['/watermark.html', '/favicon.ico'], true);
    if ($is_file && strpos($path, '..') === false && is_file($_SERVER['DOCUMENT_ROOT'] . $path)) {
        return false;
    }
    http_response_code(404);
    return true;
}
define('EPISODE', $found[1]);
define('INSTALL_PATH', $_SERVER['DOCUMENT_ROOT'] . '/');
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = '/index.php';
$_SERVER['SCRIPT_FILENAME'] = INSTALL_PATH . 'index.php';
unset($_SERVER['PATH_INFO']);
chdir(INSTALL_PATH);
require INSTALL_PATH . 'index.php';
