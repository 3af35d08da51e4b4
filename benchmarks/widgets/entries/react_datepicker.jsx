import React,{useState} from 'react'; import {createRoot} from 'react-dom/client'; import DatePicker from 'react-datepicker'; import 'react-datepicker/dist/react-datepicker.css';
function App(){const [d,setD]=useState(new Date(2024,4,10)); window.state=()=>({d:d?`${d.getFullYear()}-${d.getMonth()+1}-${d.getDate()}`:null}); return <div style={{padding:20}}><label>When <DatePicker selected={d} onChange={setD}/></label></div>}
createRoot(document.getElementById('r')).render(<App/>);
