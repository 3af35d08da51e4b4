<?php
// Leads the mail account that is signed in to the mailboxes of the episode, and keeps no traces of how pages were looked at.

class episodes extends rcube_plugin
{
    // How lists are searched, sorted and folded is remembered by Roundcube, but nobody asks for it.
    private const VIEWS = ['search_mods', 'addressbook_search_mods', 'message_threading', 'message_sort_col',
        'message_sort_order', 'collapsed_folders', 'collapsed_abooks'];

    public function init()
    {
        $this->add_hook('storage_connect', [$this, 'mailboxes']);
        $this->add_hook('preferences_update', [$this, 'preferences']);
    }

    public function mailboxes($given)
    {
        // Who signs in anew has to know the account's name and its password.
        $is_account = $given['user'] === getenv('RL_LOOP_ACCOUNT');
        return ['user' => $is_account ? EPISODE : 'nobody', 'port' => (int) getenv('RL_LOOP_IMAP')] + $given;
    }

    public function preferences($given)
    {
        $kept = array_diff_key($given['prefs'], array_flip(self::VIEWS));
        return ['prefs' => $kept, 'abort' => !$kept] + $given;
    }
}
