<?php
// Settings of Roundcube. Nothing is saved, marked or fetched that nobody asked for: a visit changes no state.

require_once __DIR__ . '/seeded_session.php';

$config['db_dsnw'] = 'pgsql://postgres@unix(' . getenv('RL_LOOP_POSTGRES') . ':5432)/' . EPISODE;
$config['imap_host'] = '127.0.0.1:' . getenv('RL_LOOP_IMAP');
$config['imap_auth_type'] = 'IMAP';
$config['imap_vendor'] = 'dovecot';
$config['imap_delimiter'] = '.';
$config['imap_ns_personal'] = '';
$config['smtp_host'] = '127.0.0.1:' . getenv('RL_LOOP_SMTP');
$config['smtp_user'] = $config['smtp_pass'] = '';
// The sink keeps what it accepts in the folder of the episode that greets it.
$config['smtp_helo_host'] = EPISODE . '.localhost';
$config['plugins'] = ['episodes'];
$config['session_storage'] = 'seeded';
$config['session_lifetime'] = 5256000;
$config['des_key'] = 'reached from here only..';
$config['temp_dir'] = $config['log_dir'] = getenv('RL_LOOP_FOLDER');
$config['smtp_log'] = false;
$config['product_name'] = 'Mail';
$config['display_product_info'] = 0;
$config['support_url'] = '';
$config['keyservers'] = [];
$config['enable_spellcheck'] = false;
$config['collected_recipients'] = $config['collected_senders'] = false;
$config['create_default_folders'] = false;
$config['draft_autosave'] = 0;
$config['compose_save_localstorage'] = false;
$config['mail_read_time'] = -1;
$config['read_when_deleted'] = false;
$config['mdn_requests'] = 2;
$config['language'] = 'en_US';
$config['timezone'] = 'UTC';
$config['prettydate'] = false;
$config['skin'] = 'elastic';
