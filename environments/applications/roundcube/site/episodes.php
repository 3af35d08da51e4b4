<?php
// Leads the mail account that is signed in to the mailboxes of the episode.

class episodes extends rcube_plugin
{
    public function init()
    {
        $this->add_hook('storage_connect', [$this, 'mailboxes']);
    }

    public function mailboxes($given)
    {
        // Who signs in anew has to know the account's name and its password.
        $is_account = $given['user'] === getenv('RL_LOOP_ACCOUNT');
        return ['user' => $is_account ? EPISODE : 'nobody', 'port' => (int) getenv('RL_LOOP_IMAP')] + $given;
    }
}
