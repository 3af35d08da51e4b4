<?php
// Fills the empty database with the tables of Roundcube, the account, its address book and its session.

define('EPISODE', getenv('RL_LOOP_DATABASE'));
define('INSTALL_PATH', getenv('RL_LOOP_ROOT') . '/usr/share/roundcube/');
require INSTALL_PATH . 'program/include/iniset.php';

$world = json_decode(file_get_contents($argv[1]), true, 512, JSON_THROW_ON_ERROR);
$rcmail = rcmail::get_instance();
$db = $rcmail->get_dbh();
$db->set_option('ignore_errors', false);
$db->exec_script(file_get_contents(INSTALL_PATH . 'SQL/postgres.initial.sql'));
if ($db->is_error()) {
    exit('the tables: ' . $db->is_error() . "\n");
}
$user = rcube_user::create(getenv('RL_LOOP_ACCOUNT'), '127.0.0.1');
$rcmail->set_user($user);
$user->update_identity(1, ['name' => $world['actor'], 'organization' => $world['organization'], 'reply-to' => '',
    'bcc' => '', 'signature' => '', 'standard' => 1]);
// Roundcube gives every account a random one at the first look at the settings.
$user->save_prefs(['client_hash' => 'rlloopmailclient']);
$book = new rcube_contacts($db, $user->ID);
$ids = [];
foreach ($world['contacts'] as $number => $contact) {
    $name = $contact['firstname'] . ' ' . $contact['surname'];
    $found = $book->insert(['name' => $name, 'firstname' => $contact['firstname'], 'surname' => $contact['surname'],
        'email:work' => $contact['email'], 'phone:work' => $contact['phone'], 'organization' => $contact['organization']]);
    if ($found != $number + 1) {
        // The tasks know contacts by their ids.
        exit('expected the contact ' . ($number + 1) . ", found $found\n");
    }
    $ids[$contact['email']] = $found;
}
foreach ($world['groups'] as $number => $group) {
    $made = $book->create_group($group['name']);
    $members = array_map(fn ($email) => $ids[$email], $group['members']);
    if ($made['id'] != $number + 1 || $book->add_to_group($made['id'], $members) != count($members)) {
        exit("the group {$group['name']} can't be made\n");
    }
}
foreach ($world['responses'] as $response) {
    $user->insert_response($response + ['is_html' => 0]);
}
$session = [
    'user_id' => $user->ID, 'username' => getenv('RL_LOOP_ACCOUNT'), 'storage_host' => '127.0.0.1', 'storage_port' => 143,
    'storage_ssl' => null, 'password' => $rcmail->encrypt(getenv('RL_LOOP_PASSWORD')), 'login_time' => time(), 'timezone' => 'UTC',
    'language' => 'en_US', 'task' => 'mail',
];
$vars = '';
foreach ($session as $key => $value) {
    $vars .= $key . '|' . serialize($value);
}
$db->query('INSERT INTO ' . $db->table_name('session', true) . ' (sess_id, changed, ip, vars) VALUES (?, now(), ?, ?)',
    $world['session'], '127.0.0.1', base64_encode($vars));
if ($db->is_error()) {
    exit('the session: ' . $db->is_error() . "\n");
}
echo "done\n";
