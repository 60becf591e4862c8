namespace sbm {}
