import React,{useState} from 'react'; import {createRoot} from 'react-dom/client'; import {Select,DatePicker,Switch,Slider,TreeSelect,Cascader,Modal,Radio,Upload,Button} from 'antd';
function App(){const [s,setS]=useState({}); window.state=()=>s; const put=k=>v=>setS(o=>({...o,[k]:v})); return <div style={{padding:20}}>
<Select aria-label="City" style={{width:200}} showSearch placeholder="City" onChange={put('city')} options={[{value:'oslo',label:'Oslo'},{value:'rome',label:'Rome'},{value:'bern',label:'Bern'}]}/>
<br/><br/><Select mode="multiple" aria-label="Tags" style={{width:300}} placeholder="Tags" onChange={put('tags')} options={[{value:'a',label:'Alpha'},{value:'b',label:'Beta'}]}/>
<br/><br/><DatePicker placeholder="Day" onChange={(d,t)=>put('day')(t)}/>
<br/><br/><Switch aria-label="Wifi" onChange={put('wifi')}/>
<br/><br/><div style={{width:300}}><Slider aria-label="Vol" defaultValue={30} onChange={put('vol')}/></div>
<Radio.Group optionType="button" options={['Left','Right']} onChange={e=>put('side')(e.target.value)}/>
<br/><Cascader placeholder="Where" onChange={put('where')} options={[{value:'no',label:'Norway',children:[{value:'os',label:'Oslo city'}]}]}/>
</div>}
createRoot(document.getElementById('r')).render(<App/>);
